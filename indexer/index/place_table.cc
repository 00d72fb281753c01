#include "indexer/index/place_table.h"

#include "indexer/base/check.h"

namespace kvroute {

std::byte* PlaceTable::NewTable(uint32_t buckets) const {
  const uint32_t granules = GranulesOf(buckets);
  auto* table = arena_->At<std::byte>(arena_->Allocate(granules));
  auto* words = reinterpret_cast<std::atomic<uint64_t>*>(table);
  for (size_t i = 0; i < granules * kGranuleBytes / sizeof(uint64_t); ++i) {
    words[i].store(0, std::memory_order_relaxed);
  }
  reinterpret_cast<std::atomic<uint32_t>*>(table)->store(buckets, std::memory_order_relaxed);
  return table;
}

void PlaceTable::Init(Arena* arena, Reclaimer* reclaimer) {
  arena_ = arena;
  reclaimer_ = reclaimer;
  buckets_ = 1;
  table_.store(NewTable(1), std::memory_order_release);
}

void PlaceTable::Put(std::byte* table, uint32_t buckets, uint64_t encoded) {
  const auto fragment = static_cast<uint32_t>(encoded >> 41);
  uint32_t bucket = Home(fragment, buckets);
  for (uint32_t probe = 0;;) {
    std::atomic<uint64_t>* slots = Bucket(table, bucket);
    for (uint32_t i = 0; i < kSlots; ++i) {
      if (slots[i].load(std::memory_order_relaxed) != 0) continue;
      slots[i].store(encoded, std::memory_order_relaxed);
      return;
    }
    std::atomic<uint8_t>& passed = Passed(table, buckets, bucket);
    const uint8_t count = passed.load(std::memory_order_relaxed);
    if (count != 255) passed.store(static_cast<uint8_t>(count + 1), std::memory_order_relaxed);
    bucket = Next(fragment, buckets, ++probe, bucket);
  }
}

void PlaceTable::Grow() {
  std::byte* old = table_.load(std::memory_order_relaxed);
  const uint32_t buckets = buckets_ < 8 ? buckets_ * 2 : buckets_ + buckets_ / 8;
  std::byte* table = NewTable(buckets);
  for (uint32_t bucket = 0; bucket < buckets_; ++bucket) {
    for (uint32_t i = 0; i < kSlots; ++i) {
      const uint64_t slot = Bucket(old, bucket)[i].load(std::memory_order_relaxed);
      if (slot != 0) Put(table, buckets, slot);
    }
  }
  table_.store(table, std::memory_order_release);
  reclaimer_->Retire(arena_->Of(old), GranulesOf(buckets_));
  buckets_ = buckets;
}

std::atomic<uint64_t>* PlaceTable::Locate(uint64_t encoded, uint32_t* probes) const {
  std::byte* table = table_.load(std::memory_order_relaxed);
  const auto fragment = static_cast<uint32_t>(encoded >> 41);
  uint32_t bucket = Home(fragment, buckets_);
  for (uint32_t probe = 0; probe < MostProbes(buckets_);) {
    std::atomic<uint64_t>* slots = Bucket(table, bucket);
    for (uint32_t i = 0; i < kSlots; ++i) {
      if (slots[i].load(std::memory_order_relaxed) != encoded) continue;
      *probes = probe;
      return &slots[i];
    }
    bucket = Next(fragment, buckets_, ++probe, bucket);
  }
  KVROUTE_CHECK(false);  // every block of a window has its entry
  return nullptr;
}

void PlaceTable::Erase(uint32_t fragment, Place place) {
  uint32_t passed_buckets = 0;
  Locate(Encode(fragment, place), &passed_buckets)->store(0, std::memory_order_release);
  --size_;
  std::byte* table = table_.load(std::memory_order_relaxed);
  uint32_t bucket = Home(fragment, buckets_);
  for (uint32_t probe = 0; probe < passed_buckets;) {
    std::atomic<uint8_t>& passed = Passed(table, buckets_, bucket);
    const uint8_t count = passed.load(std::memory_order_relaxed);
    if (count != 255) passed.store(static_cast<uint8_t>(count - 1), std::memory_order_release);
    bucket = Next(fragment, buckets_, ++probe, bucket);
  }
}

void PlaceTable::Replace(uint32_t fragment, Place old_place, Place place) {
  uint32_t probes = 0;
  Locate(Encode(fragment, old_place), &probes)
      ->store(Encode(fragment, place), std::memory_order_release);
}

}  // namespace kvroute
