#include "router/fleet/fleet_watcher.h"

#include <charconv>
#include <utility>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

// "<epoch>-<number>", in hexadecimal.
struct WatchPosition {
  uint64_t epoch = 0;
  uint64_t number = 0;
};

std::optional<WatchPosition> ReadToken(std::string_view token) {
  WatchPosition place;
  const char* const end = token.data() + token.size();
  const auto epoch = std::from_chars(token.data(), end, place.epoch, 16);
  if (epoch.ec != std::errc() || epoch.ptr == end || *epoch.ptr != '-') return std::nullopt;
  const auto number = std::from_chars(epoch.ptr + 1, end, place.number, 16);
  if (number.ec != std::errc() || number.ptr != end) return std::nullopt;
  return place;
}

}  // namespace

FleetWatcher::FleetWatcher(const Fleet* fleet, WorkerFilter filter)
    : fleet_(fleet), filter_(std::move(filter)) {}

std::string FleetWatcher::TokenAt(uint64_t number) const {
  return fmt::format("{:x}-{:x}", fleet_->epoch(), number);
}

absl::Status FleetWatcher::Begin(std::string_view resume_token) {
  if (resume_token.empty()) {
    TakeSnapshot(WatchSnapshot::kFirst);
    return absl::OkStatus();
  }
  const std::optional<WatchPosition> place = ReadToken(resume_token);
  if (!place) return InvalidArgument("resume_token: none of Watch's");
  number_ = place->number;
  if (place->epoch != fleet_->epoch() || number_ > fleet_->ChangeNumber()) {
    TakeSnapshot(WatchSnapshot::kOtherStart);
  }
  return absl::OkStatus();
}

void FleetWatcher::TakeSnapshot(WatchSnapshot why) {
  snapshot_ = fleet_->Snapshot();
  why_ = why;
  next_page_.clear();
}

std::optional<FleetNews> FleetWatcher::Next() {
  if (snapshot_ != nullptr) return NextOfSnapshot();
  if (begun_ && fleet_->ChangeNumber() == number_) return std::nullopt;
  const std::optional<FleetChanges> changes = fleet_->ChangesSince(number_, kWorkersAtOnce);
  if (changes) return Write(*changes);
  TakeSnapshot(WatchSnapshot::kFellBehind);
  return NextOfSnapshot();
}

FleetNews FleetWatcher::NextOfSnapshot() {
  const auto page = PageOfWorkers(*snapshot_, filter_, kWorkersAtOnce, next_page_);
  FleetNews news;
  news.snapshot = why_;
  for (const uint32_t at : page->workers) news.workers.push_back(snapshot_->targets[at].worker);
  next_page_ = page->next_token;
  news.more = !next_page_.empty();
  begun_ = true;
  if (news.more) return news;
  number_ = snapshot_->change_number;
  news.resume_token = TokenAt(number_);
  snapshot_.reset();
  return news;
}

FleetNews FleetWatcher::Write(const FleetChanges& changes) {
  FleetNews news;
  news.removed = changes.removed;
  for (const std::shared_ptr<const FleetEntry>& entry : changes.workers) {
    if (filter_.Matches(*entry->worker)) {
      news.workers.push_back(entry->worker);
    } else {
      news.removed.push_back(entry->worker->spec.worker_id);
    }
  }
  begun_ = true;
  number_ = changes.number;
  news.resume_token = TokenAt(number_);
  return news;
}

}  // namespace kvroute
