#ifndef KVROUTE_TEST_SUPPORT_ROUTING_FIXTURE_H_
#define KVROUTE_TEST_SUPPORT_ROUTING_FIXTURE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "indexer/base/check.h"
#include "indexer/index/prefix_index.h"
#include "router/fleet/fleet.h"
#include "router/load/load_tracker.h"
#include "router/route/router.h"
#include "test/support/fake_clock.h"
#include "test/support/fake_source.h"

namespace kvroute {

// `count` different tokens, the same for the same start.
inline std::vector<TokenId> Tokens(size_t count, TokenId start = 1) {
  std::vector<TokenId> tokens(count);
  for (size_t i = 0; i < count; ++i) tokens[i] = start + static_cast<TokenId>(i);
  return tokens;
}

// The whole query side over a real index, without sockets: a test registers workers, plays their
// engines and asks. Time is clock_, or the clock given, which must outlive it.
class RoutingFixture {
 public:
  explicit RoutingFixture(RouterOptions options = {.tie_break_seed = 1},
                          LoadTrackerOptions load_options = {}, const Clock* clock = nullptr)
      : loads_(load_options, clock != nullptr ? clock : &clock_),
        router_(options, &index_, &fleet_, &loads_, &stats_, clock != nullptr ? clock : &clock_) {}

  static WorkerSpec Spec(const std::string& id, uint32_t ranks = 1, uint32_t block_size = 4) {
    static int number = 0;
    WorkerSpec spec;
    spec.worker_id = id;
    spec.address = "http://" + id + ":8000";
    spec.model = std::string("m");  // by move: g++ 12 warns of the assignment
    spec.block_size_tokens = block_size;
    spec.data_parallel_size = ranks;
    spec.event_endpoint = "inproc://engine-" + std::to_string(++number);
    return spec;
  }

  // Registers a worker whose streams are connected and exact.
  void AddWorker(const WorkerSpec& spec) {
    KVROUTE_CHECK(fleet_.Register(spec).ok());
    Connect(spec);
  }
  // Many at once: registering one by one takes the square of their number.
  void AddConfiguredWorkers(const std::vector<WorkerSpec>& specs) {
    KVROUTE_CHECK(fleet_.ApplyConfig(specs).ok());
    for (const WorkerSpec& spec : specs) Connect(spec);
  }
  void Connect(const WorkerSpec& spec) {
    for (uint32_t rank = 0; rank < spec.data_parallel_size; ++rank) {
      const auto stream = source_.stream(spec.worker_id, rank);
      stream->trust = Trust::kExact;
      stream->reason = TrustReason::kReplayComplete;
      stream->connected = true;
    }
  }

  // What the engine stores of a prompt: its full blocks from `first_block` on; engine hashes are
  // made up from the prefix.
  void Store(const std::string& worker, const std::vector<TokenId>& tokens, uint32_t block_size = 4,
             uint32_t rank = 0, size_t first_block = 0, Tier tier = Tier::kGpu,
             NamespaceSeed seed = MakeNamespaceSeed("", "")) {
    std::vector<LocalHash> locals;
    std::vector<EngineHash> engine;
    PrefixHash prefix;
    std::optional<EngineHash> parent;
    for (size_t i = 0; i < tokens.size() / block_size; ++i) {
      const LocalHash local =
          HashBlock(absl::MakeConstSpan(tokens).subspan(i * block_size, block_size), seed);
      prefix = i == 0 ? RootPrefix(local) : ChainPrefix(prefix, local);
      const EngineHash handle(prefix.value() * 3);
      if (i + 1 == first_block) parent = handle;
      if (i < first_block) continue;
      locals.push_back(local);
      engine.push_back(handle);
    }
    const StoreResult result =
        index_.Store(source_.stream(worker, rank)->id, {parent, engine, locals, tier});
    KVROUTE_CHECK(result.status == StoreStatus::kStored);
  }

  FakeClock clock_;
  PrefixIndex index_;
  FakeSource source_{&index_};
  LoadTracker loads_;
  Fleet fleet_{{}, &source_, &loads_};
  RoutingStats stats_;
  Router router_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_ROUTING_FIXTURE_H_
