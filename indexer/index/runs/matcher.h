#ifndef KVROUTE_INDEXER_INDEX_RUNS_MATCHER_H_
#define KVROUTE_INDEXER_INDEX_RUNS_MATCHER_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "indexer/index/match_result.h"
#include "indexer/index/prefix_hash.h"
#include "indexer/index/runs/matched_tiers.h"
#include "indexer/index/runs/run_store.h"
#include "indexer/index/slot_table.h"

namespace kvroute {

// One walk of a prompt through the runs, with the memory it needs from one query to the next.
//
// Thread safety: one thread at a time; each thread has its own. Run is called under an EpochPin.
class Matcher {
 public:
  void Run(const RunStore& store, const SlotTable& slots, absl::Span<const PrefixHash> prompt,
           MatchResult* result);
  void Run(const RunStore& store, const SlotTable& slots, PromptChain* prompt, MatchResult* result);

 private:
  // What a run said under one version.
  struct Look {
    uint32_t version;
    uint32_t blocks;  // leading blocks that equal the prompt's; 0: not this chain
    uint32_t length;
    uint64_t last;   // prefix hash of the last of `blocks`, if the prompt asks for it
    uint32_t words;  // of full_, the bits of who holds the whole run; the others are in entries_
  };

  template <typename Prompt>
  void RunOn(const RunStore& store, const SlotTable& slots, Prompt* prompt, MatchResult* result);
  template <typename Prompt>
  void Walk(const RunStore& store, Prompt* prompt);
  // Whether no run has changed since it was looked at: then the walk saw one moment.
  bool StillSo() const;
  // What the run has of the prompt from block `depth` on. False: the run is dead.
  template <typename Prompt>
  bool LookAt(const RunStore& store, const kvroute::Run& run, Prompt* prompt, uint32_t depth,
              Look* look);
  void CopyHolders(const RunStore& store, const kvroute::Run& run, Look* look);
  void Start(const Look& look);
  void StepFew(const Look& look, uint32_t depth);
  void StepMany(const Look& look, uint32_t depth);
  // Copies what the run says of tiers, of those who may still hold all so far.
  void CopyTiers(const RunStore& store, const kvroute::Run& run, const Look& look, uint32_t depth);
  void Score(Slot slot, uint32_t blocks) {
    if (blocks > 0) scores_.emplace_back(slot, blocks);
  }
  void ScoreCohort();
  bool NobodyLeft() const { return many_ ? !AnyBit() : few_.empty(); }
  bool AnyBit() const;
  void Emit(const SlotTable& slots, MatchResult* result);

  // Who holds everything so far: a list, or bits once a run had more holders than make a list.
  bool many_ = false;
  std::vector<Slot> few_;
  std::vector<uint64_t> bits_;
  std::vector<uint64_t> full_;
  std::vector<HolderEntry> entries_;
  std::vector<Slot> next_few_;
  // final, in the order in which holders dropped out
  std::vector<std::pair<Slot, uint32_t>> scores_;
  uint32_t cohort_blocks_ = 0;  // that those in bits_ hold, who stayed to the end; 0: nobody
  std::vector<std::pair<const kvroute::Run*, uint32_t>> seen_;  // runs and their versions
  MatchedTiers tiers_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_RUNS_MATCHER_H_
