#include "router/fleet/worker_spec.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "indexer/base/api_limits.h"
#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/text.h"

namespace kvroute {
namespace {

constexpr uint32_t kMaxPort = 65'535;
constexpr size_t kCurveKeyCharacters = 40;  // Z85 of 32 bytes

absl::Status CheckText(std::string_view field, std::string_view text, size_t min_bytes,
                       size_t max_bytes) {
  if (text.size() < min_bytes || text.size() > max_bytes) {
    return InvalidArgument("{}: {} bytes; must be {} to {}", field, text.size(), min_bytes,
                           max_bytes);
  }
  const auto bad =
      std::find_if(text.begin(), text.end(), [](char c) { return c < 0x20 || c > 0x7e; });
  if (bad != text.end()) {
    return InvalidArgument("{}: byte {} is 0x{:02x}; must be printable ASCII", field,
                           bad - text.begin(), static_cast<unsigned char>(*bad));
  }
  return absl::OkStatus();
}

// A topic is the engine's word, in whatever script; shown it must be one line of text all the same.
absl::Status CheckTopic(std::string_view topic) {
  if (topic.size() > limits::kMaxTopicBytes) {
    return InvalidArgument("topic: {} bytes; the limit is {}", topic.size(),
                           limits::kMaxTopicBytes);
  }
  if (IsOneLine(topic)) return absl::OkStatus();
  return InvalidArgument("topic: must be UTF-8 without control characters");
}

bool IsLabelKeyCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-' || c == '/';
}

// Who looks for workers by himself has asked the engines, and keeps what may be kept of their list.
absl::Status CheckNames(std::string_view field, const std::vector<std::string>& names,
                        size_t limit) {
  if (names.size() > limit) {
    return InvalidArgument("{}: {} names; the limit is {}", field, names.size(), limit);
  }
  for (const std::string& name : names) {
    KVROUTE_RETURN_IF_ERROR(CheckText(field, name, 1, limits::kMaxModelBytes));
  }
  return absl::OkStatus();
}

struct TcpEndpoint {
  std::string_view host;  // brackets of an IPv6 address included
  uint32_t port = 0;
};

std::optional<TcpEndpoint> ParseTcp(std::string_view endpoint) {
  constexpr std::string_view kScheme = "tcp://";
  if (!endpoint.starts_with(kScheme)) return std::nullopt;
  endpoint.remove_prefix(kScheme.size());
  const size_t colon = endpoint.rfind(':');
  TcpEndpoint tcp;
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  tcp.host = endpoint.substr(0, colon);
  const std::string port(endpoint.substr(colon + 1));
  if (!absl::SimpleAtoi(port, &tcp.port) || tcp.port == 0 || tcp.port > kMaxPort) {
    return std::nullopt;
  }
  return tcp;
}

absl::Status CheckEndpoint(std::string_view field, std::string_view endpoint) {
  if (absl::Status status = CheckText(field, endpoint, 1, limits::kMaxEndpointBytes);
      !status.ok()) {
    return status;
  }
  if (endpoint.starts_with("ipc://") || endpoint.starts_with("inproc://")) {
    if (endpoint.ends_with("//")) return InvalidArgument("{}: \"{}\" has no name", field, endpoint);
    return absl::OkStatus();
  }
  const std::optional<TcpEndpoint> tcp = ParseTcp(endpoint);
  if (!tcp) {
    return InvalidArgument("{}: \"{}\" is not tcp://host:port, ipc://path or inproc://name", field,
                           endpoint);
  }
  if (tcp->host == "*" || tcp->host == "0.0.0.0" || tcp->host == "[::]") {
    return InvalidArgument("{}: \"{}\" is an address to bind; kvroute connects to the engine",
                           field, endpoint);
  }
  return absl::OkStatus();
}

absl::Status CheckOverrides(const WorkerSpec& spec) {
  absl::flat_hash_set<uint32_t> ranks;
  for (const RankEndpoints& rank : spec.rank_overrides) {
    if (rank.rank >= spec.data_parallel_size) {
      return InvalidArgument("rank_overrides.rank: {}; data_parallel_size is {}", rank.rank,
                             spec.data_parallel_size);
    }
    if (!ranks.insert(rank.rank).second) {
      return InvalidArgument("rank_overrides.rank: {} is named twice", rank.rank);
    }
    if (!rank.address.empty()) {
      KVROUTE_RETURN_IF_ERROR(
          CheckText("rank_overrides.address", rank.address, 1, limits::kMaxAddressBytes));
    }
    const bool says_more = !rank.address.empty() || rank.closed;
    if (says_more && rank.event_endpoint.empty() && rank.replay_endpoint.empty()) continue;
    if (absl::Status status = CheckEndpoint("rank_overrides.event_endpoint", rank.event_endpoint);
        !status.ok()) {
      return status;
    }
    if (rank.replay_endpoint.empty()) continue;
    if (absl::Status status = CheckEndpoint("rank_overrides.replay_endpoint", rank.replay_endpoint);
        !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

// nullptr: the endpoints of the rank are as the rule says.
const RankEndpoints* FindEndpoints(const WorkerSpec& spec, uint32_t rank) {
  const RankEndpoints* const found = spec.FindOverride(rank);
  return found == nullptr || found->event_endpoint.empty() ? nullptr : found;
}

absl::Status CheckOffset(std::string_view field, std::string_view endpoint, uint32_t rank) {
  const absl::StatusOr<std::string> offset = OffsetEndpoint(endpoint, rank);
  if (offset.ok()) return absl::OkStatus();
  return InvalidArgument("{}: {}", field, MessageOf(offset.status()));
}

// Every rank must have sockets of its own. With the usual ports 5557 and 5558, rank 1's events
// would be sought where rank 0 serves replay.
absl::Status CheckRankEndpoints(const WorkerSpec& spec) {
  absl::flat_hash_set<std::string> taken;
  for (uint32_t rank = 0; rank < spec.data_parallel_size; ++rank) {
    if (FindEndpoints(spec, rank) == nullptr) {
      absl::Status status = CheckOffset("event_endpoint", spec.event_endpoint, rank);
      if (status.ok() && !spec.replay_endpoint.empty()) {
        status = CheckOffset("replay_endpoint", spec.replay_endpoint, rank);
      }
      if (!status.ok()) return status;
    }
    const StreamConfig stream = StreamConfigOf(spec, rank);
    if (!taken.insert(stream.event_endpoint).second) {
      return InvalidArgument(
          "event_endpoint: rank {} would be at \"{}\", which is taken by another rank or by replay",
          rank, stream.event_endpoint);
    }
    if (!stream.replay_endpoint.empty() && !taken.insert(stream.replay_endpoint).second) {
      return InvalidArgument(
          "replay_endpoint: rank {} would be at \"{}\", which is taken by another rank or by "
          "events",
          rank, stream.replay_endpoint);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckCurve(const CurveKeys& curve) {
  if (curve == CurveKeys{}) return absl::OkStatus();
  for (const auto& [field, key] : {std::pair{"curve.server_public", &curve.server_public},
                                   std::pair{"curve.client_public", &curve.client_public},
                                   std::pair{"curve.client_secret", &curve.client_secret}}) {
    if (key->size() != kCurveKeyCharacters) {
      return InvalidArgument("{}: {} characters; a Z85 key has {}", field, key->size(),
                             kCurveKeyCharacters);
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool WorkerSpec::operator==(const WorkerSpec& other) const = default;

const RankEndpoints* WorkerSpec::FindOverride(uint32_t rank) const {
  for (const RankEndpoints& candidate : rank_overrides) {
    if (candidate.rank == rank) return &candidate;
  }
  return nullptr;
}

std::string_view WorkerSpec::AddressOf(uint32_t rank) const {
  const RankEndpoints* const found = FindOverride(rank);
  return found == nullptr || found->address.empty() ? address : found->address;
}

absl::Status ValidateWorker(const WorkerSpec& spec, WorkerSource source) {
  KVROUTE_RETURN_IF_ERROR(CheckText("worker_id", spec.worker_id, 1, limits::kMaxWorkerIdBytes));
  KVROUTE_RETURN_IF_ERROR(CheckText("address", spec.address, 1, limits::kMaxAddressBytes));
  KVROUTE_RETURN_IF_ERROR(CheckText("model", spec.model, 1, limits::kMaxModelBytes));
  KVROUTE_RETURN_IF_ERROR(CheckTopic(spec.topic));
  if (spec.block_size_tokens > limits::kMaxBlockSizeTokens) {
    return InvalidArgument("block_size_tokens: {}; the limit is {}", spec.block_size_tokens,
                           limits::kMaxBlockSizeTokens);
  }
  if (spec.data_parallel_size == 0 || spec.data_parallel_size > limits::kMaxDataParallelSize) {
    return InvalidArgument("data_parallel_size: {}; must be 1 to {}", spec.data_parallel_size,
                           limits::kMaxDataParallelSize);
  }
  const uint32_t max_first_rank = limits::kMaxRank - (spec.data_parallel_size - 1);
  if (spec.first_rank.value_or(0) > max_first_rank) {
    return InvalidArgument("first_rank: {}; of {} ranks the first is at most {}", *spec.first_rank,
                           spec.data_parallel_size, max_first_rank);
  }
  KVROUTE_RETURN_IF_ERROR(ValidateLabels(spec.labels));
  if (source == WorkerSource::kApi || source == WorkerSource::kConfig) {
    KVROUTE_RETURN_IF_ERROR(CheckNames("served_names", spec.served_names, limits::kMaxServedNames));
    KVROUTE_RETURN_IF_ERROR(CheckNames("adapters", spec.adapters, limits::kMaxAdapters));
  }
  if (source == WorkerSource::kDiscovered) return absl::OkStatus();
  KVROUTE_RETURN_IF_ERROR(CheckEndpoint("event_endpoint", spec.event_endpoint));
  if (!spec.replay_endpoint.empty()) {
    KVROUTE_RETURN_IF_ERROR(CheckEndpoint("replay_endpoint", spec.replay_endpoint));
  }
  KVROUTE_RETURN_IF_ERROR(CheckOverrides(spec));
  KVROUTE_RETURN_IF_ERROR(CheckRankEndpoints(spec));
  return CheckCurve(spec.curve);
}

absl::Status ValidateLabels(const std::map<std::string, std::string>& labels) {
  if (labels.size() > limits::kMaxLabels) {
    return InvalidArgument("labels: {} of them; the limit is {}", labels.size(),
                           limits::kMaxLabels);
  }
  for (const auto& [key, value] : labels) {
    KVROUTE_RETURN_IF_ERROR(CheckText("labels", key, 1, limits::kMaxLabelKeyBytes));
    if (!std::all_of(key.begin(), key.end(), IsLabelKeyCharacter)) {
      return InvalidArgument("labels: the key \"{}\" is not of A-Z a-z 0-9 . _ - /", key);
    }
    KVROUTE_RETURN_IF_ERROR(CheckText("labels", value, 0, limits::kMaxLabelValueBytes));
  }
  return absl::OkStatus();
}

StreamConfig StreamConfigOf(const WorkerSpec& spec, uint32_t rank) {
  StreamConfig stream;
  stream.worker_id = spec.worker_id;
  stream.rank = rank;
  if (spec.first_rank.has_value()) stream.published_rank = *spec.first_rank + rank;
  stream.engine = spec.engine;
  stream.copies = spec.copies;
  stream.block_size_tokens = spec.block_size_tokens;
  stream.bigram = spec.bigram;
  stream.topic = spec.topic;
  stream.curve = spec.curve;
  if (const RankEndpoints* endpoints = FindEndpoints(spec, rank); endpoints != nullptr) {
    stream.event_endpoint = endpoints->event_endpoint;
    stream.replay_endpoint = endpoints->replay_endpoint;
    return stream;
  }
  stream.event_endpoint = OffsetEndpoint(spec.event_endpoint, rank).value_or("");
  if (!spec.replay_endpoint.empty()) {
    stream.replay_endpoint = OffsetEndpoint(spec.replay_endpoint, rank).value_or("");
  }
  return stream;
}

absl::StatusOr<std::string> OffsetEndpoint(std::string_view endpoint, uint32_t rank) {
  if (rank == 0) return std::string(endpoint);
  if (endpoint.starts_with("inproc://")) return fmt::format("{}_dp{}", endpoint, rank);
  const std::optional<TcpEndpoint> tcp = ParseTcp(endpoint);
  if (!tcp) {
    return InvalidArgument("\"{}\" cannot be offset to rank {}: name it in rank_overrides",
                           endpoint, rank);
  }
  if (tcp->port + rank > kMaxPort) {
    return InvalidArgument("\"{}\" is beyond port {} at rank {}", endpoint, kMaxPort, rank);
  }
  return fmt::format("tcp://{}:{}", tcp->host, tcp->port + rank);
}

}  // namespace kvroute
