#include "router/fleet/discovery/found_engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>

namespace kvroute {
namespace {

EngineKind KindOf(std::string_view engine_type, EngineKind otherwise) {
  if (engine_type == "vllm") return EngineKind::kVllm;
  if (engine_type == "sglang") return EngineKind::kSglang;
  if (engine_type == "trtllm-serve" || engine_type == "triton-tensorrt-llm" ||
      engine_type == "trtllm") {
    return EngineKind::kTrtllm;
  }
  return otherwise;
}

}  // namespace

std::string AddressText(std::string_view host, uint32_t port) {
  const bool bare_v6 = host.find(':') != std::string_view::npos && !host.starts_with('[');
  return bare_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

WorkerSpec WorkerOf(const FoundEngine& found, const EngineDefaults& defaults) {
  WorkerSpec spec;
  spec.worker_id = found.worker_id;
  spec.instance = found.instance;
  spec.model = found.model.empty() ? defaults.model : found.model;
  spec.engine = KindOf(found.engine_type, defaults.engine);
  spec.topic = defaults.topic;
  spec.role = found.role;
  const auto own = [](uint32_t port, uint32_t port_of_all) {
    return port != 0 ? port : port_of_all;
  };
  const uint32_t replay_port = own(found.replay_port, defaults.replay_port);
  spec.event_endpoint =
      "tcp://" + AddressText(found.host, own(found.event_port, defaults.event_port));
  if (replay_port != 0) spec.replay_endpoint = "tcp://" + AddressText(found.host, replay_port);
  const auto is_open = [](uint32_t port) { return port != 0; };
  const auto first = std::find_if(found.ports.begin(), found.ports.end(), is_open);
  const auto last = std::find_if(found.ports.rbegin(), found.ports.rend(), is_open).base();
  spec.address = AddressText(found.host, *first);
  spec.data_parallel_size = static_cast<uint32_t>(std::distance(found.ports.begin(), last));
  for (uint32_t rank = 0; rank < spec.data_parallel_size; ++rank) {
    const uint32_t port = found.ports[rank];
    if (port == *first) continue;
    RankEndpoints at;
    at.rank = rank;
    at.closed = port == 0;
    if (port != 0) at.address = AddressText(found.host, port);
    spec.rank_overrides.push_back(std::move(at));
  }
  return spec;
}

std::optional<WorkerRole> RoleOfLabel(std::string_view role) {
  if (role.empty() || role == "decode") return WorkerRole::kDecode;
  if (role == "prefill" || role == "encode-prefill") return WorkerRole::kPrefill;
  if (role == "prefill-decode" || role == "both" || role == "encode-prefill-decode") {
    return WorkerRole::kBoth;
  }
  return std::nullopt;
}

}  // namespace kvroute
