#include "tools/placement/policies/routed_policy.h"

#include <optional>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "indexer/base/check.h"
#include "indexer/index/prefix_index.h"
#include "router/fleet/fleet.h"
#include "router/load/load_tracker.h"
#include "router/route/router.h"
#include "tools/placement/policies/simulated_clock.h"
#include "tools/placement/policies/simulated_source.h"

namespace kvroute {
namespace {

constexpr char kModel[] = "simulated";
// Names sort as numbers do: kvroute orders targets by them.
std::string WorkerName(size_t target) { return absl::StrFormat("w%06d", target); }
std::string RequestId(uint64_t number) { return absl::StrCat("r", number); }

WorkerSpec SpecOf(size_t target, uint32_t block_size_tokens) {
  WorkerSpec spec;
  spec.worker_id = WorkerName(target);
  spec.address = absl::StrCat("http://", spec.worker_id, ":8000");
  spec.model = std::string(kModel);
  spec.block_size_tokens = block_size_tokens;
  spec.event_endpoint = absl::StrCat("inproc://", spec.worker_id);
  return spec;
}

}  // namespace

// The parts of a serving kvroute behind its edges and in front of its sockets.
class RoutedPolicy::Service : public PoolAnnouncements {
 public:
  explicit Service(const PolicySetting& setting)
      : router_({.tie_break_seed = setting.seed}, &index_, &fleet_, &loads_, &stats_, &clock_) {
    std::vector<WorkerSpec> specs;
    for (size_t i = 0; i < setting.targets; ++i) {
      specs.push_back(SpecOf(i, setting.block_size_tokens));
    }
    KVROUTE_CHECK(fleet_.ApplyConfig(specs).ok());
    const auto snapshot = fleet_.Snapshot();
    streams_.resize(setting.targets);
    for (size_t i = 0; i < setting.targets; ++i) numbers_[WorkerName(i)] = i;
    for (const FleetTarget& target : snapshot->targets) {
      streams_[numbers_[target.worker->spec.worker_id]] = target.stream->id;
    }
  }

  void Stored(size_t target, const BlockKey* parent, absl::Span<const BlockKey> blocks) override {
    engine_hashes_.clear();
    local_hashes_.clear();
    for (const BlockKey block : blocks) {
      engine_hashes_.push_back(EngineHash(block.value()));
      local_hashes_.push_back(LocalHash(block.value()));
    }
    std::optional<EngineHash> before;
    if (parent != nullptr) before = EngineHash(parent->value());
    const StoreResult result =
        index_.Store(streams_[target], {before, engine_hashes_, local_hashes_, Tier::kGpu});
    KVROUTE_CHECK(result.status == StoreStatus::kStored);
  }
  void Removed(size_t target, BlockKey block) override {
    const EngineHash hash(block.value());
    index_.Remove(streams_[target], absl::MakeConstSpan(&hash, 1), Tier::kGpu);
  }

  void SetNow(Nanos now) { clock_.Set(now); }
  size_t Route(const Query& query) {
    const absl::Status status = router_.Route(query, &decision_);
    KVROUTE_CHECK(status.ok());
    const std::string_view worker = decision_.chosen.worker_id;
    return numbers_.at(absl::string_view(worker.data(), worker.size()));
  }
  void Complete(uint64_t number, Progress progress) {
    const auto known = router_.Complete({.request_id = RequestId(number), .progress = progress});
    KVROUTE_CHECK(known.ok());
  }

 private:
  SimulatedClock clock_;
  PrefixIndex index_{{.secret_seed = 1}};
  SimulatedSource source_{&index_};
  LoadTracker loads_{{}, &clock_};
  Fleet fleet_{{}, &source_, &loads_};
  RoutingStats stats_;
  Router router_;
  std::vector<StreamId> streams_;                     // by target
  absl::flat_hash_map<std::string, size_t> numbers_;  // of targets, by worker
  std::vector<EngineHash> engine_hashes_;
  std::vector<LocalHash> local_hashes_;
  Decision decision_;
};

RoutedPolicy::RoutedPolicy(const PolicySetting& setting, std::string policy)
    : policy_(std::move(policy)),
      block_size_(setting.block_size_tokens),
      service_(std::make_unique<Service>(setting)) {}

RoutedPolicy::~RoutedPolicy() = default;

PoolAnnouncements* RoutedPolicy::announcements() { return service_.get(); }

size_t RoutedPolicy::Choose(const PlacementQuery& query, absl::Span<const Candidate> /*targets*/) {
  hashes_.clear();
  for (const BlockKey block : query.prompt_blocks) hashes_.push_back(block.value());
  const std::string request_id = RequestId(query.number);
  Query asked;
  asked.model = kModel;
  asked.prompt.block_hashes = BlockHashesView{.kind = BlockHashKind::kLocal,
                                              .hashes = hashes_,
                                              .block_size_tokens = block_size_,
                                              .prompt_tokens = query.prompt_tokens,
                                              .lookahead_tokens = 0};
  asked.request_id = request_id;
  asked.expected_output_tokens = query.output_tokens;
  asked.policy = policy_;
  service_->SetNow(query.now);
  return service_->Route(asked);
}

void RoutedPolicy::Prefilled(uint64_t number, size_t /*target*/, Nanos now) {
  service_->SetNow(now);
  service_->Complete(number, Progress::kPrefilled);
}

void RoutedPolicy::Ended(uint64_t number, size_t /*target*/, Nanos now) {
  service_->SetNow(now);
  service_->Complete(number, Progress::kEnded);
}

}  // namespace kvroute
