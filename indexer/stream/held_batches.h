#ifndef KVROUTE_INDEXER_STREAM_HELD_BATCHES_H_
#define KVROUTE_INDEXER_STREAM_HELD_BATCHES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "indexer/base/memory_budget.h"

namespace kvroute {

// Batches that came before their turn, by number. Bounded by the stream's own limits and by what
// all streams together may hold. Thread safety: one thread at a time. Ownership: the budget
// outlives it.
class HeldBatches {
 public:
  struct Batch {
    std::string payload;
    bool suspect = false;   // did not decode; a replay may bring a better copy
    bool unproven = false;  // of a connection before this one, perhaps of another publisher
  };

  // `budget`: of all streams; may be null.
  HeldBatches(size_t max_batches, size_t max_bytes, MemoryBudget* budget = nullptr)
      : max_batches_(max_batches),
        max_bytes_(max_bytes),
        share_(budget, MemoryBudget::kUnlimited) {}

  // False when a bound is reached; nothing is kept then. A number that is held already keeps its
  // first copy.
  bool Hold(uint64_t seq, std::string_view payload, bool suspect) {
    if (batches_.contains(seq)) return true;
    if (batches_.size() >= max_batches_ || bytes_ + payload.size() > max_bytes_) return false;
    if (!share_.TryTake(Cost(payload))) return false;
    try {
      batches_.emplace(seq, Batch{std::string(payload), suspect, false});
    } catch (const std::bad_alloc&) {  // the system has less than we may have
      share_.GiveBack(Cost(payload));
      return false;
    }
    bytes_ += payload.size();
    return true;
  }
  bool empty() const { return batches_.empty(); }
  size_t size() const { return batches_.size(); }
  uint64_t front_seq() const { return batches_.begin()->first; }
  const Batch& front() const { return batches_.begin()->second; }
  const Batch* Find(uint64_t seq) const {
    const auto it = batches_.find(seq);
    return it == batches_.end() ? nullptr : &it->second;
  }
  // Where the stretch of numbers without a hole begins that ends before `seq`; `seq`: there is
  // none.
  uint64_t StretchBefore(uint64_t seq) const {
    for (auto it = batches_.lower_bound(seq); it != batches_.begin() && (--it)->first + 1 == seq;) {
      seq = it->first;
    }
    return seq;
  }
  Batch PopFront() {
    Batch batch = std::move(batches_.begin()->second);
    GiveBack(batch.payload);
    batches_.erase(batches_.begin());
    return batch;
  }
  void DropBelow(uint64_t seq) {
    while (!batches_.empty() && front_seq() < seq) PopFront();
  }
  void MarkUnproven() {
    for (auto& [seq, batch] : batches_) batch.unproven = true;
  }
  void DropUnproven() {
    std::erase_if(batches_, [this](const auto& entry) {
      if (entry.second.unproven) GiveBack(entry.second.payload);
      return entry.second.unproven;
    });
  }
  void Clear() {
    batches_.clear();
    bytes_ = 0;
    share_.GiveBackAll();
  }

 private:
  // What a batch takes beside its payload: its place in the map, and what the allocator adds.
  static constexpr size_t kOverheadBytes = 128;
  static size_t Cost(std::string_view payload) { return payload.size() + kOverheadBytes; }
  void GiveBack(std::string_view payload) {
    bytes_ -= payload.size();
    share_.GiveBack(Cost(payload));
  }

  const size_t max_batches_;
  const size_t max_bytes_;
  size_t bytes_ = 0;  // of the payloads
  MemoryShare share_;
  std::map<uint64_t, Batch> batches_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_HELD_BATCHES_H_
