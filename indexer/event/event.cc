#include "indexer/event/event.h"

#include <array>

namespace kvroute {

std::string_view TierName(Tier tier) {
  constexpr std::array<std::string_view, 5> kNames = {"gpu", "cpu", "disk", "external", "unknown"};
  return kNames[static_cast<size_t>(tier)];
}

std::string_view EngineKindName(EngineKind kind) {
  constexpr std::array<std::string_view, 5> kNames = {"auto", "vllm", "sglang", "trtllm",
                                                      "mooncake"};
  return kNames[static_cast<size_t>(kind)];
}

std::optional<EngineKind> ParseEngineKind(std::string_view name) {
  for (const EngineKind kind : {EngineKind::kAuto, EngineKind::kVllm, EngineKind::kSglang,
                                EngineKind::kTrtllm, EngineKind::kMooncake}) {
    if (EngineKindName(kind) == name) return kind;
  }
  return std::nullopt;
}

std::string_view EventTypeName(EventType type) {
  constexpr std::array<std::string_view, 3> kNames = {"stored", "removed", "cleared"};
  return kNames[static_cast<size_t>(type)];
}

bool IsFullAttention(const Event& event) {
  if (event.spec_kind.empty()) return event.group_idx.value_or(0) == 0;
  return event.spec_kind == "full_attention" || event.spec_kind == "mla_attention" ||
         event.spec_kind == "sink_full_attention";
}

}  // namespace kvroute
