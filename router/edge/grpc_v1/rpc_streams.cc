#include "router/edge/grpc_v1/rpc_streams.h"

#include <algorithm>

#include "indexer/base/error.h"

namespace kvroute {

absl::Status RpcStreams::Admit(RpcStream* stream) {
  if (stream->connection() == nullptr) return absl::CancelledError("the connection is closed");
  if (open_.size() >= limit_) {
    RpcStream* const other = WhoGivesWayTo(*stream);
    if (other == nullptr) {
      counters_.refused->fetch_add(1, std::memory_order_relaxed);
      return Error(absl::StatusCode::kResourceExhausted, "{}: {} are open already", limit_name_,
                   open_.size());
    }
    End(other, fmt::format("{}: made room for a connection that has fewer", limit_name_));
  }
  open_.push_back(stream);
  ++stream->connection()->rpc_streams;
  CountOpen();
  return absl::OkStatus();
}

void RpcStreams::Remove(RpcStream* stream) {
  const auto it = std::find(open_.begin(), open_.end(), stream);
  if (it == open_.end()) return;
  *it = open_.back();
  open_.pop_back();
  --stream->connection()->rpc_streams;
  CountOpen();
}

void RpcStreams::End(RpcStream* stream, const std::string& message) {
  counters_.ended->fetch_add(1, std::memory_order_relaxed);
  Remove(stream);
  stream->End(message);
}

RpcStream* RpcStreams::WhoGivesWayTo(const RpcStream& stream) const {
  RpcStream* chosen = nullptr;
  // Afterwards it has no fewer than the newcomer.
  uint32_t most = stream.connection()->rpc_streams + 2;
  for (RpcStream* open : open_) {
    const uint32_t has = open->connection()->rpc_streams;
    if (open->idle_turns() == 0 || has < most) continue;
    if (chosen != nullptr && has == most && open->idle_turns() <= chosen->idle_turns()) continue;
    most = has;
    chosen = open;
  }
  return chosen;
}

void RpcStreams::CountOpen() { counters_.open->store(open_.size(), std::memory_order_relaxed); }

}  // namespace kvroute
