#ifndef KVROUTE_TEST_LOSS_LOSS_SIMULATION_H_
#define KVROUTE_TEST_LOSS_LOSS_SIMULATION_H_

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "indexer/event/event_encoder.h"
#include "indexer/stream/stream_machine.h"
#include "test/support/fake_clock.h"
#include "tools/fleet/engine_pool.h"

namespace kvroute {

// Which batches are lost.
enum class LossKind : uint8_t {
  kSingle,    // that share, evenly
  kBursts,    // the same share, in stretches of 50
  kRemovals,  // only such as remove blocks that conversations begin with
};

struct LossOptions {
  LossKind kind = LossKind::kSingle;
  double lost = 0.01;  // share of the batches
  uint32_t workers = 4;
  bool same_hashes = false;      // all engines hash alike, as vLLM since 0.29 does
  uint32_t pool_blocks = 2'000;  // of each
  uint32_t requests = 10'000;
  uint64_t seed = 1;
};

// How the streams answered, held against their engines.
struct LossFigures {
  uint64_t hit_blocks = 0;    // that the engine reused
  uint64_t found_blocks = 0;  // of these, foreseen
  uint64_t false_blocks = 0;  // foreseen, and not there
  uint64_t asked_blocks = 0;
  // At the end.
  uint64_t holdings = 0;
  uint64_t wrong = 0;        // blocks held wrongly
  uint64_t unconfirmed = 0;  // what the stream says of them: at most, and probably
  uint64_t doubtful = 0;
  uint64_t lost = 0;       // batches
  uint64_t forgotten = 0;  // times that a state was forgotten

  double FoundShare() const { return Share(found_blocks, hit_blocks); }
  double HitShare() const { return Share(hit_blocks, asked_blocks); }
  double FalseShare() const { return Share(false_blocks, found_blocks + false_blocks); }
  static double Share(uint64_t part, uint64_t whole) {
    return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
  }
};

// What is asked in a simulation: blocks and the prompts they make.
struct LossBlock {
  PrefixHash prefix;
  std::vector<TokenId> tokens;
  bool shared;  // of a system prompt
};
using LossPrompt = std::vector<uint32_t>;  // numbers of blocks

// One vLLM engine without a replay endpoint, whose batches are lost on the way, and the stream that
// follows it. One request, one batch. Thread safety: none.
class LossyEngine : private CacheEvents {
 public:
  LossyEngine(const LossOptions& options, AfterLoss after_loss, uint64_t number,
              const std::vector<LossBlock>* blocks, PrefixIndex* index);

  StreamId stream() const { return status_.id; }
  // How many leading blocks of the prompt it holds.
  uint32_t CountResident(const LossPrompt& prompt) const;
  void Serve(const LossPrompt& prompt);
  // A last batch arrives, so that nothing is lost unnoticed, and the stream is judged as a whole.
  void JudgeEnd(LossFigures* figures);

 private:
  void Stored(const Digest* parent, absl::Span<const Digest> hashes,
              absl::Span<const TokenId> tokens, const HashNamespace& names) override;
  void Removed(const Digest& hash) override;
  void Cleared() override {}

  bool IsLost();
  Digest DigestOf(uint32_t block) const;
  static EngineHash EngineHashOf(const Digest& digest);

  const LossOptions options_;
  const uint64_t hash_seed_;
  const std::vector<LossBlock>* const prompt_blocks_;
  PrefixIndex* const index_;
  std::mt19937_64 random_;
  EnginePool pool_;
  EventEncoder encoder_{WireFormat{}};
  absl::flat_hash_map<uint64_t, uint32_t> block_of_;  // by engine hash, of all it ever stored
  bool removes_shared_ = false;                       // the batch being made
  double due_ = 0;                                    // of kSingle; the next is lost at 1
  uint64_t burst_left_ = 0;

  FakeClock clock_;
  IngestCounters counters_;
  Decoder decoder_;
  StreamStatus status_;
  StreamOptions stream_options_;
  std::unique_ptr<StreamMachine> machine_;
  uint64_t next_seq_ = 0;
};

// A few such engines. The requests are turns of conversations, of which each begins with one of a
// few system prompts; the pools have room for some of them. Four of five go where most of them is
// foreseen, the others anywhere.
//
// Thread safety: none. The same options give the same figures, but for what is adopted beside the
// index's scrubber: where runs begin depends on what it has freed.
class LossSimulation {
 public:
  LossSimulation(const LossOptions& options, AfterLoss after_loss);
  LossFigures Run();

 private:
  void Extend(LossPrompt* prompt, uint32_t blocks, bool shared);
  LossPrompt& NextTurn();
  LossyEngine& Choose(const LossPrompt& prompt);

  const LossOptions options_;
  std::mt19937_64 random_;
  std::vector<LossBlock> blocks_;
  std::vector<LossPrompt> system_prompts_;
  std::vector<LossPrompt> conversations_;
  PrefixIndex index_{{.secret_seed = 1}};
  std::vector<std::unique_ptr<LossyEngine>> engines_;
  MatchResult result_;
  LossFigures figures_;
};

// The table of docs/consistency.md.
std::string LossTableMarkdown();

}  // namespace kvroute

#endif  // KVROUTE_TEST_LOSS_LOSS_SIMULATION_H_
