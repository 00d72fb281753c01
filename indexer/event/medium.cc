#include "indexer/event/medium.h"

#include <array>

#include "absl/strings/ascii.h"

namespace kvroute {
namespace {

struct MediumName {
  std::string_view name;
  Tier tier;
};
constexpr std::array<MediumName, 13> kMediums = {{
    {"GPU", Tier::kGpu},
    {"DEVICE", Tier::kGpu},
    {"CPU", Tier::kCpu},
    {"CPU_PINNED", Tier::kCpu},
    {"CPU_TIER1", Tier::kCpu},
    {"CPU_TIER2", Tier::kDisk},
    {"DISK", Tier::kDisk},
    {"NVME", Tier::kDisk},
    {"STORAGE", Tier::kDisk},
    {"EXTERNAL", Tier::kExternal},
    {"NETWORK", Tier::kExternal},
    {"REMOTE", Tier::kExternal},
    {"SHARED", Tier::kExternal},
}};

bool EqualsUpper(std::string_view text, std::string_view upper) {
  if (text.size() != upper.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (absl::ascii_toupper(static_cast<unsigned char>(text[i])) != upper[i]) return false;
  }
  return true;
}

}  // namespace

Tier TierOfMedium(std::string_view medium) {
  if (medium == "GPU") return Tier::kGpu;  // nearly every event
  for (const MediumName& known : kMediums) {
    if (EqualsUpper(medium, known.name)) return known.tier;
  }
  return Tier::kUnknown;
}

}  // namespace kvroute
