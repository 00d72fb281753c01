// The part of StreamWriter that clears one tier. Copies in other tiers than the gpu have records,
// so they can be listed; those in the gpu alone have none.
#include <algorithm>
#include <utility>

#include "indexer/base/check.h"
#include "indexer/index/stream_writer.h"

namespace kvroute {

bool StreamWriter::HasOtherTiers() const {
  bool has = false;
  records_.ForEach([&](uint64_t, const Record& record) {
    const Copies& copies = record.copies;
    has |= std::any_of(copies.begin() + 1, copies.end(), [](uint16_t n) { return n > 0; });
  });
  return has;
}

void StreamWriter::DropTier(Tier tier) {
  std::vector<uint64_t> engines;
  records_.ForEach([&](uint64_t engine, const Record& record) {
    if (record.copies[Index(tier)] > 0) engines.push_back(engine);
  });
  RemoveResult result;
  for (const uint64_t engine : engines) {
    records_.Find(engine)->copies[Index(tier)] = 1;  // all of them go at once
    RemoveCopy(engine, tier, &result);
  }
  CountRecords();
}

StreamWriter::Leavings StreamWriter::MoveWithoutGpu(Slot slot) {
  struct Staying {
    uint64_t engine;
    Place place;
    Copies copies;
  };
  std::vector<Staying> staying;
  records_.ForEach([&](uint64_t engine, const Record& record) {
    Copies copies = record.copies;
    copies[Index(Tier::kGpu)] = 0;
    if (copies != Copies{}) staying.push_back({engine, Find(engine), copies});
  });
  Leavings leavings = TakeLeavings();
  Restart(slot);
  StoreResult result;
  for (const Staying& stays : staying) {
    const auto first = std::find_if(stays.copies.begin(), stays.copies.end(),
                                    [](uint16_t count) { return count > 0; });
    // The old slot still covers the place: it cannot have vanished.
    const bool stored =
        StoreBlock(stays.place, store_->RunAt(stays.place)->Prefix(stays.place.offset),
                   stays.engine, static_cast<Tier>(first - stays.copies.begin()), &result);
    KVROUTE_CHECK(stored);
    AddHoldings(std::count_if(first + 1, stays.copies.end(), [](uint16_t n) { return n > 0; }));
    records_.Find(stays.engine)->copies = stays.copies;
  }
  CountRecords();
  return leavings;
}

}  // namespace kvroute
