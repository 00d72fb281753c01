#include "indexer/event/load_stat.h"

#include <array>
#include <limits>

#include "indexer/base/error.h"
#include "indexer/event/msgpack_cursor.h"

namespace kvroute {
namespace {

constexpr std::string_view kTag = "LoadStat";
constexpr std::array<std::string_view, 4> kCounts = {"num_running_reqs", "num_waiting_reqs",
                                                     "num_tokens", "max_total_num_tokens"};
constexpr std::array<uint64_t, 4> kMost = {
    std::numeric_limits<uint32_t>::max(), std::numeric_limits<uint32_t>::max(),
    std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::max()};
constexpr uint64_t kRankAt = 5;
constexpr uint64_t kWaitingUncachedAt = 6;

bool IsCount(const MsgpackValue& value, uint64_t most) {
  return value.type == MsgpackType::kInt && !value.negative && value.number <= most;
}

}  // namespace

absl::StatusOr<LoadStat> ReadLoadStat(std::string_view payload) {
  MsgpackCursor cursor(payload);
  const MsgpackValue array = cursor.Read();
  if (array.type != MsgpackType::kArray) return InvalidArgument("load: no msgpack array");
  const MsgpackValue tag = array.number == 0 ? MsgpackValue() : cursor.Read();
  if (tag.type != MsgpackType::kStr || tag.bytes != kTag) {
    return InvalidArgument("load: no {}", kTag);
  }
  std::array<uint64_t, kCounts.size()> counts{};
  for (size_t i = 0; i < kCounts.size(); ++i) {
    if (array.number < i + 2) return InvalidArgument("{}: absent", kCounts[i]);
    const MsgpackValue value = cursor.Read();
    if (!IsCount(value, kMost[i])) {
      return InvalidArgument("{}: no whole number from 0 to {}", kCounts[i], kMost[i]);
    }
    counts[i] = value.number;
  }
  LoadStat stat{.running = static_cast<uint32_t>(counts[0]),
                .waiting = static_cast<uint32_t>(counts[1]),
                .used_tokens = counts[2],
                .capacity_tokens = counts[3],
                .waiting_uncached_tokens = {}};
  for (uint64_t at = kRankAt; at < array.number; ++at) {
    if (at != kWaitingUncachedAt) {
      if (!cursor.Skip()) return InvalidArgument("load: field {} is broken", at);
      continue;
    }
    const MsgpackValue value = cursor.Read();
    if (value.IsNil()) continue;
    if (!IsCount(value, std::numeric_limits<int64_t>::max())) {
      return InvalidArgument("num_waiting_uncached_tokens: no whole number from 0");
    }
    stat.waiting_uncached_tokens = value.number;
  }
  if (!cursor.AtEnd()) return InvalidArgument("load: {} bytes behind it", cursor.remaining());
  return stat;
}

}  // namespace kvroute
