#include "router/fleet/discovery/event_sources.h"

#include <simdjson.h>

#include <algorithm>
#include <optional>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "router/fleet/endpoint.h"

namespace kvroute {
namespace {

constexpr std::string_view kTcp = "tcp://";

struct TcpAddress {
  std::string_view host;  // brackets of an IPv6 address included
  std::string_view port;
};

// nullopt: it is none.
std::optional<TcpAddress> Split(std::string_view endpoint) {
  if (!endpoint.starts_with(kTcp)) return std::nullopt;
  endpoint.remove_prefix(kTcp.size());
  const size_t colon = endpoint.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  return TcpAddress{endpoint.substr(0, colon), endpoint.substr(colon + 1)};
}

bool IsEverywhere(std::string_view host) {
  return host == "*" || host == "0.0.0.0" || host == "[::]" || host == "::";
}

bool IsBound(std::string_view endpoint) {
  const std::optional<TcpAddress> at = Split(endpoint);
  if (!at || endpoint.size() > limits::kMaxEndpointBytes) return false;
  const std::string_view host = IsEverywhere(at->host) ? std::string_view("127.0.0.1") : at->host;
  return ParseEndpoint(std::string(host) + ":" + std::string(at->port)).has_value();
}

absl::Status ReadSource(simdjson::dom::element each, RankPublisher* source) {
  std::string_view endpoint, replay;
  uint64_t rank = 0;
  if (each["endpoint"].get(endpoint) != simdjson::SUCCESS || !IsBound(endpoint)) {
    return InvalidArgument("kv_event_sources: an endpoint is no tcp address");
  }
  if (each["data_parallel_rank"].get(rank) == simdjson::SUCCESS && rank > limits::kMaxRank) {
    return InvalidArgument("kv_event_sources: rank {}; the limit is {}", rank, limits::kMaxRank);
  }
  const bool has_replay =
      each["replay_endpoint"].get(replay) == simdjson::SUCCESS && !replay.empty();
  if (has_replay && !IsBound(replay)) {
    return InvalidArgument("kv_event_sources: a replay_endpoint is no tcp address");
  }
  *source = {static_cast<uint32_t>(rank), std::string(endpoint), std::string(replay)};
  return absl::OkStatus();
}

// `own`: an endpoint at the worker's host.
std::string Placed(const std::string& endpoint, const std::string& own) {
  if (endpoint.empty()) return endpoint;
  const std::optional<TcpAddress> at = Split(endpoint), home = Split(own);
  if (!at || !home || !IsEverywhere(at->host)) return endpoint;
  return fmt::format("{}{}:{}", kTcp, home->host, at->port);
}

RankEndpoints* OverrideOf(uint32_t rank, WorkerSpec* spec) {
  for (RankEndpoints& each : spec->rank_overrides) {
    if (each.rank == rank) return &each;
  }
  spec->rank_overrides.push_back({.rank = rank});
  return &spec->rank_overrides.back();
}

}  // namespace

absl::StatusOr<std::vector<RankPublisher>> ReadEventSources(std::string_view text) {
  simdjson::dom::parser parser{limits::kMaxModelListBytes};
  simdjson::dom::array list;
  const auto error = parser.parse(text.data(), text.size()).get(list);
  if (error != simdjson::SUCCESS)
    return InvalidArgument("kv_event_sources: {}", error_message(error));
  std::vector<RankPublisher> sources;
  for (const simdjson::dom::element each : list) {
    if (sources.size() == limits::kMaxDataParallelSize) {
      return InvalidArgument("kv_event_sources: more than the limit of {} ranks",
                             limits::kMaxDataParallelSize);
    }
    KVROUTE_RETURN_IF_ERROR(ReadSource(each, &sources.emplace_back()));
  }
  std::sort(sources.begin(), sources.end(),
            [](const RankPublisher& a, const RankPublisher& b) { return a.rank < b.rank; });
  for (size_t i = 1; i < sources.size(); ++i) {
    if (sources[i].rank == sources[i - 1].rank) {
      return InvalidArgument("kv_event_sources: rank {} is there twice", sources[i].rank);
    }
  }
  return sources;
}

bool TakeEventSources(const std::vector<RankPublisher>& sources, WorkerSpec* spec) {
  if (sources.empty() || sources.back().rank - sources[0].rank != sources.size() - 1) return false;
  const auto ranks = static_cast<uint32_t>(sources.size());
  const bool ranks_unknown = spec->data_parallel_size == 1 && spec->rank_overrides.empty();
  if (!ranks_unknown && spec->data_parallel_size != ranks) return false;
  spec->data_parallel_size = ranks;
  if (sources[0].rank != 0) spec->first_rank = sources[0].rank;
  const std::string own = spec->event_endpoint;
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    const std::string events = Placed(sources[rank].endpoint, own);
    const std::string replay = Placed(sources[rank].replay_endpoint, own);
    if (rank == 0) {
      spec->event_endpoint = events;
      spec->replay_endpoint = replay;
    } else {
      RankEndpoints* const at = OverrideOf(rank, spec);
      at->event_endpoint = events;
      at->replay_endpoint = replay;
    }
  }
  return true;
}

}  // namespace kvroute
