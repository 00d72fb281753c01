#include "indexer/stream/loss_ledger.h"

#include <algorithm>

namespace kvroute {

void LossLedger::Lose(uint64_t batches, uint64_t holdings) {
  if (holdings == 0) return Clear();
  active_ = true;
  for (Hashes& hashes : confirmed_) hashes.clear();
  given_up_ = 0;
  // What is not held cannot be held wrongly.
  doubtful_ =
      std::min(doubtful_ + static_cast<double>(batches) * removed_, static_cast<double>(holdings));
}

void LossLedger::Confirm(EngineHash hash, Tier tier) {
  if (active_ && entries() < max_confirmed_) Of(tier).insert(hash);
}

void LossLedger::Removed(EngineHash hash, Tier tier) {
  if (active_) Of(tier).erase(hash);
}

size_t LossLedger::entries() const {
  size_t entries = 0;
  for (const Hashes& hashes : confirmed_) entries += hashes.size();
  return entries;
}

uint64_t LossLedger::HeapBytesOfConfirmed() const {
  uint64_t bytes = 0;
  for (const Hashes& hashes : confirmed_) bytes += hashes.capacity() * (sizeof(EngineHash) + 1);
  return bytes;
}

uint64_t LossLedger::Confirmed() const {
  const uint64_t confirmed = entries();
  return confirmed - std::min(confirmed, given_up_);
}

uint64_t LossLedger::Unconfirmed(uint64_t holdings) const {
  return active_ ? holdings - std::min(holdings, Confirmed()) : 0;
}

uint64_t LossLedger::Doubtful(uint64_t holdings) const {
  return std::min(static_cast<uint64_t>(doubtful_), Unconfirmed(holdings));
}

bool LossLedger::MostlyWrong(uint64_t holdings) const {
  return doubtful_ * 100 > static_cast<double>(holdings * limits::kMaxDoubtfulPercent);
}

void LossLedger::Clear(Tier tier) { Hashes().swap(Of(tier)); }

void LossLedger::Clear() {
  active_ = false;
  doubtful_ = 0;
  given_up_ = 0;
  for (Hashes& hashes : confirmed_) Hashes().swap(hashes);
}

void LossLedger::StartOver() {
  Clear();
  batches_ = 0;
  removed_ = 0;
}

}  // namespace kvroute
