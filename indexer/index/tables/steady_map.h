#ifndef KVROUTE_INDEXER_INDEX_TABLES_STEADY_MAP_H_
#define KVROUTE_INDEXER_INDEX_TABLES_STEADY_MAP_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace kvroute {

// A hash map with keys of 64 bits that nobody has to wait for while it grows. It is made of parts,
// hash maps of about a thousand values each. When they have become more on average, one part is
// split in two (linear hashing): the next in turn, whichever it is. So growing costs a few thousand
// values moved at a time, however many there are in all; a map in one piece moves all of them.
//
// Thread safety: none. Pointers to values are valid until the next insertion.
template <typename Value>
class SteadyMap {
 public:
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  // On the heap.
  size_t Bytes() const {
    return capacity_ * (sizeof(std::pair<const uint64_t, Value>) + 1) +
           parts_.capacity() * sizeof(Part);
  }

  // About the most that so many more values add to it.
  size_t GrowthBytes(size_t values) const {
    // Below this load a part that is full is tidied up in its place.
    if (size_ + values <= capacity_ / 32 * 25) return 0;
    return parts_.empty()
               ? 0
               : 2 * (values + kPartValues) * (sizeof(std::pair<const uint64_t, Value>) + 1);
  }

  // Null: not there.
  Value* Find(uint64_t key) { return const_cast<Value*>(std::as_const(*this).Find(key)); }
  const Value* Find(uint64_t key) const {
    if (size_ == 0) return nullptr;
    const Part& part = parts_[PartOf(key)];
    const auto found = part.find(key);
    return found == part.end() ? nullptr : &found->second;
  }
  bool Contains(uint64_t key) const { return Find(key) != nullptr; }
  void Prefetch(uint64_t key) const {
    if (size_ != 0) parts_[PartOf(key)].prefetch(key);
  }

  // A new value where there was none: true.
  std::pair<Value*, bool> TryEmplace(uint64_t key) {
    if (size_ == parts_.size() * kPartValues) AddPart();
    Part& part = parts_[PartOf(key)];
    const size_t before = part.capacity();
    const auto [value, fresh] = part.try_emplace(key);
    capacity_ += part.capacity() - before;
    if (fresh) ++size_;
    return {&value->second, fresh};
  }
  Value& operator[](uint64_t key) { return *TryEmplace(key).first; }
  bool Erase(uint64_t key) {
    if (size_ == 0 || parts_[PartOf(key)].erase(key) == 0) return false;
    --size_;
    return true;
  }

  // body(key, value), which must not change the map.
  template <typename Body>
  void ForEach(Body body) const {
    for (const Part& part : parts_) {
      for (const auto& [key, value] : part) body(key, value);
    }
  }

 private:
  using Part = absl::flat_hash_map<uint64_t, Value>;
  static constexpr size_t kPartValues = 1'024;  // on average, at most

  // Parts from the last power of two on were split from those so many before them, which until then
  // had both their keys.
  size_t PartOf(uint64_t key) const {
    const size_t parts = parts_.size();
    if (parts == 1) return 0;
    const size_t split = std::bit_floor(parts);
    const size_t part = (key * 0x9e37'79b9'7f4a'7c15 >> 32) & (2 * split - 1);
    return part < parts ? part : part - split;
  }
  void AddPart();

  std::vector<Part> parts_;
  size_t size_ = 0;
  size_t capacity_ = 0;  // of all parts
};

template <typename Value>
void SteadyMap<Value>::AddPart() {
  const size_t added = parts_.size();
  parts_.emplace_back();
  if (added == 0) return;
  const size_t from = added - std::bit_floor(added);
  Part old;
  old.swap(parts_[from]);
  capacity_ -= old.capacity();
  for (auto& [key, value] : old) parts_[PartOf(key)].emplace(key, std::move(value));
  capacity_ += parts_[from].capacity() + parts_[added].capacity();
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_TABLES_STEADY_MAP_H_
