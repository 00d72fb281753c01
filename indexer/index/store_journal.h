#ifndef KVROUTE_INDEXER_INDEX_STORE_JOURNAL_H_
#define KVROUTE_INDEXER_INDEX_STORE_JOURNAL_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

namespace kvroute {

// In which order a stream came to hold what it holds: an engine hash for each stretch of a run that
// was new to it, oldest first. Only where the index has a limit, because that is what it is for: to
// know what to give up first.
//
// It is a hint. Nobody takes an entry back when its block is removed; instead each new entry pays
// for a look at some old ones, in turn, once there are many more than were of use in the last
// round. So there are about twice as many as are of use, and a thousand.
//
// Thread safety: one thread at a time.
class StoreJournal {
 public:
  void Push(uint64_t engine) {
    tail_.push_back(engine);
    ++size_;
  }
  std::optional<uint64_t> PopOldest() {
    for (std::deque<uint64_t>* entries : {&looked_at_, &waiting_, &tail_}) {
      if (entries->empty()) continue;
      const uint64_t engine = entries->front();
      entries->pop_front();
      --size_;
      return engine;
    }
    return std::nullopt;
  }
  // After a Push: lets go of old entries of which is_of_use(engine) says that they are of none.
  template <typename IsOfUse>
  void Tidy(IsOfUse is_of_use) {
    for (int looks = 0; looks < kLooks && size() > kSlack + 2 * of_use_; ++looks) {
      if (waiting_.empty()) NextRound();
      const uint64_t engine = waiting_.front();
      waiting_.pop_front();
      if (is_of_use(engine)) {
        looked_at_.push_back(engine);
      } else {
        --size_;
      }
    }
  }
  // What Tidy will look at next, to be fetched from memory.
  std::optional<uint64_t> Next() const {
    return waiting_.empty() ? std::nullopt : std::optional<uint64_t>(waiting_.front());
  }
  void Clear() { *this = StoreJournal(); }

  size_t size() const { return size_; }
  uint64_t HeapBytes() const { return size() * sizeof(uint64_t); }

 private:
  static constexpr int kLooks = 3;  // a push: more than one, so that it gets ahead
  static constexpr size_t kSlack = 1'024;

  // All that is in front of the newest has been looked at: they are next, and then all of it again.
  void NextRound() {
    if (tail_.empty()) {
      of_use_ = looked_at_.size();
      waiting_.swap(looked_at_);
    } else {
      waiting_.swap(tail_);
    }
  }

  // From old to new.
  std::deque<uint64_t> looked_at_;  // in this round
  std::deque<uint64_t> waiting_;    // to be looked at
  std::deque<uint64_t> tail_;
  size_t size_ = 0;    // of the three: adding theirs up takes longer than all else of a small store
  size_t of_use_ = 0;  // at the end of the last round
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_STORE_JOURNAL_H_
