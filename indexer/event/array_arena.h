#ifndef KVROUTE_INDEXER_EVENT_ARRAY_ARENA_H_
#define KVROUTE_INDEXER_EVENT_ARRAY_ARENA_H_

#include <algorithm>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace kvroute {

// Arrays of T that live until the next Reset and never move. A reused arena allocates nothing once
// it is as large as its largest batch, up to kRetainedBytes, which is what it keeps between batches
// at most.
//
// Ownership: the arena owns the arrays. Thread safety: one thread at a time.
template <typename T>
class ArrayArena {
  static_assert(std::is_trivially_destructible_v<T> && std::is_trivially_copyable_v<T>);

 public:
  static constexpr size_t kRetainedBytes = size_t{8} << 20;
  struct Mark {
    size_t chunk = 0;
    size_t used = 0;
  };

  // Room for `count` values, uninitialised.
  T* Allocate(size_t count) {
    while (chunk_ < chunks_.size() && chunks_[chunk_].size - used_ < count) {
      ++chunk_;
      used_ = 0;
    }
    if (chunk_ == chunks_.size()) Grow(count);
    T* const start = chunks_[chunk_].values.get() + used_;
    used_ += count;
    return start;
  }

  // Gives back the last `count` values of the last array.
  void GiveBack(size_t count) { used_ -= count; }

  // Gives back everything that was allocated after the mark was taken.
  Mark GetMark() const { return {chunk_, used_}; }
  void Rewind(Mark mark) {
    chunk_ = mark.chunk;
    used_ = mark.used;
  }

  // Forgets all arrays. What was spread over several chunks fits one chunk from now on.
  void Reset() {
    chunk_ = 0;
    used_ = 0;
    if (chunks_.size() <= 1 && reserved_ * sizeof(T) <= kRetainedBytes) return;
    const size_t wanted = std::min(reserved_, kRetainedBytes / sizeof(T));
    chunks_.clear();
    reserved_ = 0;
    Grow(wanted);
  }

 private:
  struct Chunk {
    std::unique_ptr<T[]> values;
    size_t size = 0;
  };
  static constexpr size_t kMinChunkValues = 1024;

  void Grow(size_t count) {
    const size_t size = std::max(count, kMinChunkValues);
    chunks_.push_back({std::unique_ptr<T[]>(new T[size]), size});
    reserved_ += size;
    used_ = 0;
  }

  std::vector<Chunk> chunks_;
  size_t reserved_ = 0;  // values in all chunks
  size_t chunk_ = 0;     // the chunk being filled; chunks_.size() before the first
  size_t used_ = 0;      // values of it in use
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_ARRAY_ARENA_H_
