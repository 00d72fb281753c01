#ifndef KVROUTE_INDEXER_EVENT_ARRAY_ARENA_H_
#define KVROUTE_INDEXER_EVENT_ARRAY_ARENA_H_

#include <algorithm>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace kvroute {

// How many bytes the arrays of one batch may still take, all kinds together.
class DecodeAllowance {
 public:
  void Reset(size_t bytes) { left_ = bytes; }
  bool Take(size_t bytes) {
    if (bytes > left_) return false;
    left_ -= bytes;
    return true;
  }

 private:
  size_t left_ = 0;
};

// Arrays of T that live until the next Reset and never move. A reused arena allocates nothing once
// it is as large as its largest batch, up to kRetainedBytes, which is what it keeps between batches
// at most.
//
// Ownership: the arena owns the arrays; the allowance outlives it. Thread safety: one thread at a
// time. Errors: what the allowance does not allow is not there: null.
template <typename T>
class ArrayArena {
  static_assert(std::is_trivially_destructible_v<T> && std::is_trivially_copyable_v<T>);

 public:
  static constexpr size_t kRetainedBytes = size_t{1} << 20;
  struct Mark {
    size_t chunk = 0;
    size_t used = 0;
  };

  explicit ArrayArena(DecodeAllowance* allowance) : allowance_(allowance) {}

  // Room for `count` values, uninitialised; null when it is not allowed.
  T* Allocate(size_t count) {
    while (chunk_ < chunks_.size() && chunks_[chunk_].size - used_ < count) {
      ++chunk_;
      used_ = 0;
    }
    if (chunk_ == chunks_.size() && !Grow(count)) return nullptr;
    T* const start = chunks_[chunk_].values() + used_;
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
    AddChunk(wanted);
  }

 private:
  // Not yet values: nobody writes what nobody asked for.
  struct Chunk {
    std::unique_ptr<std::byte[]> bytes;
    size_t size = 0;  // values
    T* values() const { return reinterpret_cast<T*>(bytes.get()); }
  };
  static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
  // Of a chunk: a small batch takes little, and of a large one little is left over.
  static constexpr size_t kLeastBytes = 4'096;
  static constexpr size_t kMostBytes = size_t{256} << 10;
  static constexpr size_t kGrowthPart = 8;

  bool Grow(size_t count) {
    const size_t least =
        std::clamp(reserved_ * sizeof(T) / kGrowthPart, kLeastBytes, kMostBytes) / sizeof(T);
    const size_t size = std::max(count, least);
    if (!allowance_->Take(size * sizeof(T))) return false;
    AddChunk(size);
    return true;
  }
  void AddChunk(size_t size) {
    chunks_.push_back({std::unique_ptr<std::byte[]>(new std::byte[size * sizeof(T)]), size});
    reserved_ += size;
    used_ = 0;
  }

  DecodeAllowance* const allowance_;
  std::vector<Chunk> chunks_;
  size_t reserved_ = 0;  // values in all chunks
  size_t chunk_ = 0;     // the chunk being filled; chunks_.size() before the first
  size_t used_ = 0;      // values of it in use
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_ARRAY_ARENA_H_
