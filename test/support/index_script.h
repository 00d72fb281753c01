#ifndef KVROUTE_TEST_SUPPORT_INDEX_SCRIPT_H_
#define KVROUTE_TEST_SUPPORT_INDEX_SCRIPT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "indexer/index/prefix_index.h"
#include "test/support/reference_index.h"

namespace kvroute {

// Does the same random things to a PrefixIndex and to the reference model and compares every
// result: stores of roots, children, deep chains and divergences, holes and their refill,
// duplicates, evictions from the tail and elsewhere, unknown parents and hashes, rebinds, other
// tiers, clears (of one tier, too), closes, streams with hash schemes of their own (broken ones
// too).
//
// All choices come from `below(n)`, a number in [0, n): a seeded generator in tests, the input's
// bytes in the fuzzer.
class IndexScript {
 public:
  struct Options {
    uint32_t max_streams = 6;
    uint32_t max_paths = 24;
    uint32_t max_growth_blocks = 40;  // by which a path grows at once
    uint32_t labels = 3;              // different blocks at one position
    // Every stream has a hash scheme of its own, as vLLM has by default; else most share one.
    bool own_schemes = false;
    // No engine hash stands for two blocks of one stream.
    bool sound_schemes = false;
    // About 40 % of the holdings are on cpu and disk: stored there, or offloaded from gpu.
    bool offloaded = false;
  };
  using Below = std::function<uint32_t(uint32_t)>;

  IndexScript(const Options& options, Below below);

  // One operation and its comparison. Empty, or what differs.
  std::string Step();
  // Compares the answers for `count` prompts, and the totals (distinct blocks, for which the index
  // must first be quiet, only from 11 on). Empty, or what differs.
  std::string CompareAnswers(uint32_t count);
  PrefixIndex& index() { return index_; }
  // Of all blocks in the answers compared so far: those in slower tiers than gpu.
  double SlowerShare() const;

 private:
  using Path = std::vector<LocalHash>;
  // Engine hash of a block: from its whole prefix, or (broken, as old SGLang) from its own tokens.
  struct Stream {
    StreamId id;
    uint64_t scheme = 0;
    bool broken = false;
    bool zeros = false;  // one hash in 32 is 0, which is as good a hash as any
  };

  Stream OpenStream();
  uint64_t PickScheme();
  const Path& PickPath();
  Tier PickTier();
  std::vector<EngineHash> EngineHashes(const Stream& stream, const Path& path) const;
  std::string StoreSome(Stream* stream);
  std::string StoreTwiceInOne(Stream* stream);
  std::string RemoveSome(Stream* stream);
  std::string AddCopiesSome(Stream* stream);
  std::string OffloadSome(Stream* stream);
  std::string ApplyAddCopies(const Stream& stream, absl::Span<const EngineHash> engines, Tier tier);
  std::string ApplyRemove(const Stream& stream, absl::Span<const EngineHash> engines, Tier tier);
  std::string ClearOrReopen(Stream* stream);
  std::string ApplyStore(const Stream& stream, const StoreRequest& request);

  const Options options_;
  const Below below_;
  PrefixIndex index_;
  ReferenceIndex model_;
  std::vector<Stream> streams_;
  uint64_t schemes_ = 2;  // numbers of the shared ones, and of those given out
  std::vector<Path> paths_;
  uint64_t answered_blocks_ = 0;
  uint64_t answered_gpu_blocks_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_INDEX_SCRIPT_H_
