#include "router/serve/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "indexer/base/limits.h"
#include "router/edge/grpc_base/long_work.h"
#include "router/edge/http_json/http_json_server.h"
#include "router/load/load_tracker.h"

namespace kvroute {
namespace {

// Of a part that is not in use: what reports still need.
constexpr uint64_t kUnused = uint64_t{1} << 20;
constexpr uint64_t kTextPieceBytes = 16;
// What the HTTP library keeps for a connection.
constexpr uint64_t kHttpConnectionBytes = 16'384;
constexpr size_t kLeastHttpConnections = 192;

bool HasPicker(const ServeConfig& config) { return !config.picker.listen.empty(); }
bool HasJson(const ServeConfig& config) { return !config.http_json.listen.empty(); }

// Half, where two share.
uint64_t BodiesOfPicker(const ServeConfig& config, uint64_t bodies) {
  return HasJson(config) ? bodies / 2 : bodies;
}
uint64_t BodiesOfJson(const ServeConfig& config, uint64_t bodies) {
  return HasPicker(config) ? bodies / 2 : bodies;
}

class Fitting {
 public:
  template <typename Number>
  void AtMost(uint64_t most, std::string_view field, std::string_view part, Number* value) {
    if (static_cast<uint64_t>(*value) <= most) return;
    lines_.push_back(
        fmt::format("{}: {} instead of {} bytes: more does not fit into the part {} of "
                    "memory.limit",
                    field, most, *value, part));
    *value = static_cast<Number>(most);
  }
  std::vector<std::string> Lines() { return std::move(lines_); }

 private:
  std::vector<std::string> lines_;
};

}  // namespace

MemoryCeilings CeilingsOf(const ServeConfig& config) {
  MemoryCeilings most = UnlimitedCeilings();
  const auto of = [&most](MemoryPart part) -> uint64_t& { return most[static_cast<size_t>(part)]; };
  const uint64_t edges = HasPicker(config) ? 2 : 1;
  of(MemoryPart::kGrpc) = edges * uint64_t{config.grpc.max_memory_bytes};
  // As many as have a thread, and some whose message is unusually much once it is parsed.
  of(MemoryPart::kRequests) = (static_cast<uint64_t>(config.grpc.max_threads) + 2) *
                              LongWork::MemoryOf(config.grpc.max_message_bytes);
  of(MemoryPart::kLeases) = uint64_t{config.routing.max_leases} * LoadTracker::kLeaseBytes;
  of(MemoryPart::kPages) = 4 * uint64_t{limits::kMaxHttpUnsentBytes};
  of(MemoryPart::kReplies) = limits::kMaxHttpRepliesBytes;
  of(MemoryPart::kPrompts) = !HasPicker(config)
                                 ? kUnused
                                 : std::max({4 * limits::kMaxTextChunks * kTextPieceBytes,
                                             4 * config.prompts.http.max_memory_bytes,
                                             2 * config.prompts.http.max_render_bytes});
  if (!HasPicker(config)) {
    const uint64_t json = config.http_json.bodies_limit_bytes +
                          HttpJsonServer::MemoryOf(config.http_json.body_limit_bytes);
    of(MemoryPart::kBodies) = HasJson(config) ? json : kUnused;
  }
  return most;
}

MemoryPlan PlanFor(const ServeConfig& config, const MemoryBudgets& memory) {
  const auto part = [&memory](MemoryPart which) { return memory.of(which).limit(); };
  const uint64_t edges = HasPicker(config) ? 2 : 1;
  const uint64_t listeners = HasJson(config) ? 2 : 1;
  const uint64_t pages = part(MemoryPart::kPages) / listeners / 2;  // and connections
  MemoryPlan plan;
  plan.picker_memory_bytes = part(MemoryPart::kGrpc) / edges;
  plan.grpc_memory_bytes =
      std::min<uint64_t>(config.grpc.max_memory_bytes, plan.picker_memory_bytes);
  plan.unsent_page_bytes = std::min<uint64_t>(pages, limits::kMaxHttpUnsentBytes);
  plan.http_connections = std::clamp<uint64_t>(pages / kHttpConnectionBytes, kLeastHttpConnections,
                                               limits::kMaxHttpConnections);
  plan.http_replies_bytes =
      std::min<uint64_t>(part(MemoryPart::kReplies), limits::kMaxHttpRepliesBytes);
  plan.text_pieces =
      std::min<uint64_t>(part(MemoryPart::kPrompts) / 4 / kTextPieceBytes, limits::kMaxTextChunks);
  return plan;
}

std::vector<std::string> FitToMemory(const MemoryBudgets& memory, ServeConfig* config) {
  const auto part = [&memory](MemoryPart which) { return memory.of(which).limit(); };
  const MemoryPlan plan = PlanFor(*config, memory);
  Fitting fit;
  fit.AtMost(std::min<uint64_t>(LongWork::LongestWithin(part(MemoryPart::kRequests)),
                                plan.grpc_memory_bytes / 8 * 5),
             "grpc.max_message", "requests", &config->grpc.max_message_bytes);
  if (HasPicker(*config)) {
    // A body that grows by doubling.
    fit.AtMost(BodiesOfPicker(*config, part(MemoryPart::kBodies)) / 2, "picker.max_body", "bodies",
               &config->picker.options.max_body_bytes);
    fit.AtMost(part(MemoryPart::kPrompts) / 4, "prompts.max_render_memory", "prompts",
               &config->prompts.http.max_memory_bytes);
    config->prompts.http.max_render_bytes =
        std::min<size_t>(config->prompts.http.max_render_bytes, part(MemoryPart::kPrompts) / 2);
  }
  if (HasJson(*config)) {
    const uint64_t bodies = BodiesOfJson(*config, part(MemoryPart::kBodies));
    fit.AtMost(HttpJsonServer::LongestWithin(bodies), "http_json.body_limit", "bodies",
               &config->http_json.body_limit_bytes);
    fit.AtMost(bodies - HttpJsonServer::MemoryOf(config->http_json.body_limit_bytes),
               "http_json.bodies_limit", "bodies", &config->http_json.bodies_limit_bytes);
  }
  return fit.Lines();
}

}  // namespace kvroute
