#include "indexer/event/text.h"

#include <array>
#include <cstdint>

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

// Bytes of the well-formed sequence that starts at `at`, 0 if none does. The second byte carries
// the rules against overlong forms, surrogates and values above U+10FFFF (Unicode 15, table 3-7).
size_t SequenceLength(const uint8_t* at, size_t left) {
  const uint8_t lead = at[0];
  size_t length = 0;
  uint8_t low = 0x80;
  uint8_t high = 0xbf;
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  }
  if (length == 0 || length > left || at[1] < low || at[1] > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((at[i] & 0xc0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

bool IsValidUtf8(std::string_view text) {
  const auto* at = reinterpret_cast<const uint8_t*>(text.data());
  size_t left = text.size();
  uint8_t high = 0;
  for (const char byte : text) high |= static_cast<uint8_t>(byte);
  if (high < 0x80) return true;  // nearly all text
  while (left > 0) {
    const size_t length = SequenceLength(at, left);
    if (length == 0) return false;
    at += length;
    left -= length;
  }
  return true;
}

Tier TierOfMedium(std::string_view medium) {
  if (medium == "GPU") return Tier::kGpu;  // nearly every event
  for (const MediumName& known : kMediums) {
    if (EqualsUpper(medium, known.name)) return known.tier;
  }
  return Tier::kUnknown;
}

}  // namespace kvroute
