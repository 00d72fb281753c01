#include "indexer/index/runs/matcher.h"

#include <algorithm>

#include "absl/base/attributes.h"
#include "indexer/index/memory/cpu_relax.h"
#include "indexer/index/memory/memory_order.h"
#include "indexer/index/prefix_chain.h"

namespace kvroute {
namespace {

// Then the answer may mix moments, each run's part being exact for the moment it was looked at.
constexpr int kMostWalks = 4;

// A table of so many cells is copied rather than searched.
constexpr uint32_t kCopiedWhole = 16;

// A prompt whose prefix hashes are there. They are chained: equal at one place means equal before
// it, so that few of them have to be compared.
class PromptOfPrefixes {
 public:
  explicit PromptOfPrefixes(absl::Span<const PrefixHash> prefixes) : prefixes_(prefixes) {}
  size_t size() const { return prefixes_.size(); }
  // The prefix hash of block `depth`, all before it being held.
  uint64_t Next(uint32_t depth) const { return prefixes_[depth].value(); }

  // How many leading blocks of the run, of `most` at most, equal the prompt's from `depth` on.
  // `last` is the prefix hash of the last of them.
  uint32_t CommonBlocks(const RunStore& store, const Run& run, uint32_t depth, uint32_t most,
                        uint64_t* last) const {
    if (depth + most < size()) store.PrefetchHead(Next(depth + most));
    const PrefixHash* rest = prefixes_.data() + depth;
    run.PrefetchBlock(most - 1);
    *last = 0;  // nobody asks
    if (run.Prefix(most - 1) == rest[most - 1].value()) return most;
    if (run.Prefix(0) != rest[0].value()) return 0;
    uint32_t equal = 1;
    for (uint32_t differs = most - 1; differs > equal;) {
      const uint32_t middle = (equal + differs) / 2;
      if (run.Prefix(middle) == rest[middle].value()) {
        equal = middle + 1;
      } else {
        differs = middle;
      }
    }
    return equal;
  }
  void Passed(uint64_t) {}

 private:
  const absl::Span<const PrefixHash> prefixes_;
};

// So many parts of a stretch are chained at the same time.
constexpr uint32_t kParts = 4;
// As many blocks are compared at a time at the beginning of a run, and then: about as many are
// hashed in vain where the prompt leaves the run as it has passed.
constexpr uint32_t kFirstCompared = 32;
constexpr uint32_t kMostCompared = 64;

// Chains the four parts of 4 * `length` blocks, each from the hash of the block before it. Not
// inline: the loop needs all registers.
ABSL_ATTRIBUTE_NOINLINE void ChainParts(const uint64_t (&before)[kParts], const LocalHash* locals,
                                        uint32_t length, uint64_t* chained) {
  uint64_t a = before[0], b = before[1], c = before[2], d = before[3];
  const auto chain = [&](uint64_t* last, uint32_t at) {
    chained[at] = *last = ChainPrefixInline(PrefixHash(*last), locals[at]).value();
  };
  for (uint32_t i = 0; i < length; ++i) {
    chain(&a, i);
    chain(&b, length + i);
    chain(&c, 2 * length + i);
    chain(&d, 3 * length + i);
  }
}

// A prompt of local hashes. Chaining them takes 14 cycles a block, nearly all of it waiting for the
// one before. But a run has the prefix hashes of its blocks already: so a stretch is chained in
// parts at the same time, each from what the run says of the block before it. If the run's block
// before a part is the prompt's, and the hash at the end of the part is the run's, all of the part
// is the prompt's, and so is the block before the next part.
class PromptOfLocals {
 public:
  explicit PromptOfLocals(PromptChain* chain) : chain_(chain) {}
  size_t size() const { return chain_->size(); }
  uint64_t Next(uint32_t depth) {
    const LocalHash local = chain_->Locals(depth + 1)[depth];
    return (depth == 0 ? RootPrefix(local) : ChainPrefixInline(before_, local)).value();
  }

  uint32_t CommonBlocks(const RunStore& store, const Run& run, uint32_t depth, uint32_t most,
                        uint64_t* last) {
    const bool goes_on = depth + most < chain_->ready();
    if (goes_on) run.PrefetchBlock(most - 1);
    FetchParts(run, 1, std::min(most - 1, kFirstCompared));
    *last = run.Prefix(0);
    if (*last != Next(depth)) return 0;
    if (goes_on) {  // for most prompts that begin like a run hold all of it
      const LocalHash behind = chain_->Locals(depth + most + 1)[depth + most];
      store.PrefetchHead(ChainPrefixInline(PrefixHash(run.Prefix(most - 1)), behind).value());
    }
    uint32_t compared = kFirstCompared;
    for (uint32_t equal = 1; equal < most; compared = kMostCompared) {
      const uint32_t count = std::min(compared, most - equal);
      FetchParts(run, equal + count, std::min(kMostCompared, most - equal - count));
      const LocalHash* locals = chain_->Locals(depth + equal + count) + depth + equal;
      const uint32_t passed = Pass(run, locals, equal, count, last);
      equal += passed;
      if (passed < count) return equal;
    }
    return most;
  }
  // `last`: of the block before the next.
  void Passed(uint64_t last) { before_ = PrefixHash(last); }

 private:
  // The length of each part of so many blocks; behind the parts some may be left.
  static uint32_t PartOf(uint32_t count) { return count / kParts; }
  static void FetchParts(const Run& run, uint32_t begin, uint32_t count) {
    const uint32_t part = PartOf(count);
    for (uint32_t i = 1; i <= kParts; ++i) run.PrefetchBlock(begin + i * part - 1);
  }

  // How many of the run's `count` blocks from `begin` on are the prompt's; `last` is the prefix
  // hash of the block before them, and then of the last of these.
  static uint32_t Pass(const Run& run, const LocalHash* locals, uint32_t begin, uint32_t count,
                       uint64_t* last) {
    uint64_t chained[kMostCompared];
    const uint32_t part = PartOf(count);
    if (part > 0) {
      const uint64_t before[kParts] = {*last, run.Prefix(begin + part - 1),
                                       run.Prefix(begin + 2 * part - 1),
                                       run.Prefix(begin + 3 * part - 1)};
      ChainParts(before, locals, part, chained);
    }
    for (uint32_t i = 0; i < kParts && part > 0; ++i) {
      const uint32_t end = (i + 1) * part;
      if (run.Prefix(begin + end - 1) != chained[end - 1]) {
        return Equal(run, begin, i * part, end - 1, chained, last);
      }
      *last = chained[end - 1];
    }
    const uint32_t rest = kParts * part;
    for (uint32_t i = rest; i < count; ++i) {
      chained[i] = (i == rest ? ChainPrefixInline(PrefixHash(*last), locals[i])
                              : ChainPrefixInline(PrefixHash(chained[i - 1]), locals[i]))
                       .value();
    }
    if (rest < count) {
      if (run.Prefix(begin + count - 1) != chained[count - 1]) {
        return Equal(run, begin, rest, count - 1, chained, last);
      }
      *last = chained[count - 1];
    }
    return count;
  }

  // Where in [equal, differs) the first block is that differs; all before `equal` are the same.
  static uint32_t Equal(const Run& run, uint32_t begin, uint32_t equal, uint32_t differs,
                        const uint64_t* chained, uint64_t* last) {
    while (differs > equal) {
      const uint32_t middle = (equal + differs) / 2;
      if (run.Prefix(begin + middle) == chained[middle]) {
        equal = middle + 1;
        *last = chained[middle];
      } else {
        differs = middle;
      }
    }
    return equal;
  }

  PromptChain* const chain_;
  PrefixHash before_{};
};

bool TestBit(const std::vector<uint64_t>& bits, Slot slot) {
  return slot / 64u < bits.size() && (bits[slot / 64u] >> (slot % 64)) & 1;
}
void SetBit(std::vector<uint64_t>* bits, Slot slot) {
  if (bits->size() <= slot / 64u) bits->resize(slot / 64u + 1);
  (*bits)[slot / 64u] |= uint64_t{1} << (slot % 64);
}
void ClearBit(std::vector<uint64_t>* bits, Slot slot) {
  (*bits)[slot / 64u] &= ~(uint64_t{1} << (slot % 64));
}

}  // namespace

void Matcher::Run(const RunStore& store, const SlotTable& slots,
                  absl::Span<const PrefixHash> prompt, MatchResult* result) {
  PromptOfPrefixes of_prefixes(prompt);
  RunOn(store, slots, &of_prefixes, result);
}

void Matcher::Run(const RunStore& store, const SlotTable& slots, PromptChain* prompt,
                  MatchResult* result) {
  if (prompt->by_prefixes()) return Run(store, slots, prompt->prefixes(), result);
  PromptOfLocals of_locals(prompt);
  RunOn(store, slots, &of_locals, result);
}

template <typename Prompt>
void Matcher::RunOn(const RunStore& store, const SlotTable& slots, Prompt* prompt,
                    MatchResult* result) {
  for (int walks = 0; walks < kMostWalks; ++walks) {
    Walk(store, prompt);
    if (StillSo()) break;
  }
  Emit(slots, result);
}

bool Matcher::StillSo() const {
  return std::all_of(seen_.begin(), seen_.end(), [](const auto& seen) {
    return seen.first->version.load(kAcquire) == seen.second;
  });
}

template <typename Prompt>
void Matcher::Walk(const RunStore& store, Prompt* prompt) {
  seen_.clear();
  scores_.clear();
  cohort_blocks_ = 0;
  tiers_.Clear();
  few_.clear();
  many_ = false;
  uint32_t depth = 0;
  while (depth < prompt->size()) {
    Look look{};
    bool died = false;
    const uint64_t next = prompt->Next(depth);
    const kvroute::Run* run = store.FindHead(next, [&](const kvroute::Run& candidate) {
      died = !LookAt(store, candidate, prompt, depth, &look);
      return died || look.blocks > 0;
    });
    if (died) continue;  // it was moved, or is gone: look again
    if (run == nullptr) break;
    seen_.emplace_back(run, look.version);
    if (depth == 0) {
      Start(look);
    } else if (many_) {
      StepMany(look, depth);
    } else {
      StepFew(look, depth);
    }
    depth += look.blocks;
    prompt->Passed(look.last);
    if (NobodyLeft()) return;
  }
  if (many_) {
    cohort_blocks_ = depth;
  } else {
    for (const Slot slot : few_) Score(slot, depth);
  }
}

template <typename Prompt>
bool Matcher::LookAt(const RunStore& store, const kvroute::Run& run, Prompt* prompt, uint32_t depth,
                     Look* look) {
  for (uint32_t tries = 1;; ++tries) {
    if (!tiers_.empty()) tiers_.Forget(depth);  // what a look in vain copied
    look->version = run.version.load(kAcquire);
    if ((look->version & 1) == 0) {
      if (run.Dead()) return false;
      look->length = run.Length();
      store.PrefetchHolders(run);
      store.PrefetchTiers(run);
      const auto most =
          static_cast<uint32_t>(std::min<size_t>(look->length, prompt->size() - depth));
      look->blocks = prompt->CommonBlocks(store, run, depth, most, &look->last);
      if (look->blocks > 0) CopyHolders(store, run, look);
      if (run.tiers.load(kAcquire) != 0) CopyTiers(store, run, *look, depth);
      if (run.version.load(std::memory_order_relaxed) == look->version) return true;
    }
    RelaxFor(tries);
  }
}

void Matcher::CopyHolders(const RunStore& store, const kvroute::Run& run, Look* look) {
  entries_.clear();
  look->words = 0;
  const uint8_t count = run.holder_count.load(kAcquire);
  if (count != kvroute::Run::kDense) {
    for (uint32_t i = 0; i < count; ++i) entries_.emplace_back(run.holders[i].load(kAcquire));
    return;
  }
  const DenseHolders& dense = *store.DenseAt(run.dense.load(kAcquire));
  look->words = dense.words.load(kAcquire);
  full_.resize(look->words);
  for (uint32_t i = 0; i < look->words; ++i) full_[i] = dense.word(i).load(kAcquire);
  const uint32_t entries = dense.entries.load(kAcquire);
  for (uint32_t i = 0; i < entries; ++i) {
    entries_.emplace_back(dense.entry(i, look->words).load(kAcquire));
  }
}

void Matcher::Start(const Look& look) {
  many_ = look.words > 0;
  if (many_) bits_ = full_;
  for (const HolderEntry entry : entries_) {
    const uint32_t covered = std::min(entry.FirstHole(look.length), look.blocks);
    if (covered < look.blocks) {
      Score(entry.slot(), covered);
    } else if (many_) {
      SetBit(&bits_, entry.slot());
    } else {
      few_.push_back(entry.slot());
    }
  }
}

void Matcher::StepFew(const Look& look, uint32_t depth) {
  size_t left = 0;
  for (const Slot slot : few_) {
    uint32_t covered = 0;
    if (look.words > 0 && TestBit(full_, slot)) {
      covered = look.blocks;
    } else {
      for (const HolderEntry entry : entries_) {
        if (entry.slot() != slot) continue;
        covered = std::min(entry.FirstHole(look.length), look.blocks);
        break;
      }
    }
    if (covered == look.blocks) {
      few_[left++] = slot;
    } else {
      Score(slot, depth + covered);
    }
  }
  few_.resize(left);
}

void Matcher::StepMany(const Look& look, uint32_t depth) {
  next_few_.clear();
  for (const HolderEntry entry : entries_) {
    if (!TestBit(bits_, entry.slot())) continue;
    ClearBit(&bits_, entry.slot());
    const uint32_t covered = std::min(entry.FirstHole(look.length), look.blocks);
    if (covered == look.blocks) {
      next_few_.push_back(entry.slot());
    } else {
      Score(entry.slot(), depth + covered);
    }
  }
  if (look.words == 0) {
    cohort_blocks_ = depth;
    many_ = false;
    few_.swap(next_few_);
    return;
  }
  for (size_t i = 0; i < bits_.size(); ++i) {
    const uint64_t stay = i < look.words ? full_[i] : 0;
    for (uint64_t out = bits_[i] & ~stay; out != 0; out &= out - 1) {
      Score(static_cast<Slot>(i * 64 + static_cast<size_t>(__builtin_ctzll(out))), depth);
    }
    bits_[i] &= stay;
  }
  for (const Slot slot : next_few_) SetBit(&bits_, slot);
}

void Matcher::CopyTiers(const RunStore& store, const kvroute::Run& run, const Look& look,
                        uint32_t depth) {
  const TierTable* table = store.tiers().TableOf(run);
  if (table == nullptr || look.blocks == 0) return;
  if (depth == 0 || many_ || table->used.load(kAcquire) <= kCopiedWhole) {
    tiers_.Copy(store.tiers(), *table, depth, look.blocks);
  } else {
    tiers_.CopyOf(store.tiers(), *table, few_, depth, look.blocks);
  }
}

void Matcher::ScoreCohort() {
  for (size_t i = 0; i < bits_.size(); ++i) {
    for (uint64_t word = bits_[i]; word != 0; word &= word - 1) {
      Score(static_cast<Slot>(i * 64 + static_cast<size_t>(__builtin_ctzll(word))), cohort_blocks_);
    }
  }
}

bool Matcher::AnyBit() const {
  return std::any_of(bits_.begin(), bits_.end(), [](uint64_t word) { return word != 0; });
}

void Matcher::Emit(const SlotTable& slots, MatchResult* result) {
  if (!tiers_.empty()) {
    const auto bits =
        cohort_blocks_ > 0 ? absl::MakeConstSpan(bits_) : absl::Span<const uint64_t>();
    return tiers_.Emit(slots, scores_, {bits, cohort_blocks_}, result);
  }
  if (cohort_blocks_ > 0) ScoreCohort();
  // What is there of the last answer is written over.
  if (result->matches.size() < scores_.size()) result->matches.resize(scores_.size());
  StreamMatch* match = result->matches.data();
  for (const auto& [slot, blocks] : scores_) {
    const StreamId stream = slots.Owner(slot);
    if (stream == StreamId()) continue;  // cleared or closed
    match->stream = stream;
    match->blocks = blocks;
    match->blocks_by_tier = {blocks, 0, 0, 0};
    ++match;
  }
  result->matches.resize(static_cast<size_t>(match - result->matches.data()));
}

}  // namespace kvroute
