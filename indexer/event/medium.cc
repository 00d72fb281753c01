#include "indexer/event/medium.h"

#include <array>

#include "absl/strings/ascii.h"

namespace kvroute {
namespace {

// Names that engines, connectors and stores publish, by tier. Left out on purpose are L1, L2 and
// L3: some count from the gpu on and some from the host's memory.
constexpr std::array kGpuNames = {"GPU", "DEVICE", "CUDA", "HBM", "VRAM", "ROCM",
                                  "NPU", "XPU",    "HPU",  "TPU", "MUSA", "G1"};
constexpr std::array kCpuNames = {"CPU",         "CPU_PINNED", "CPU_TIER1",     "CPU_MEMORY",
                                  "HOST",        "DRAM",       "HOST_PINNED",   "PINNED",
                                  "HOST_MEMORY", "MEMORY",     "MEM",           "RAM",
                                  "LOCAL_CPU",   "G2",         "SYSTEM_MEMORY", "LOCALCPUBACKEND"};
constexpr std::array kDiskNames = {
    "CPU_TIER2",  "DISK", "NVME", "STORAGE", "FS",    "FILE", "FILESYSTEM",    "FILE_SYSTEM",
    "LOCAL_DISK", "SSD",  "HDD",  "GDS",     "POSIX", "G3",   "LOCAL_STORAGE", "LOCALDISKBACKEND"};
constexpr std::array kExternalNames = {"EXTERNAL",       "NETWORK",      "REMOTE", "SHARED",
                                       "SHARED_STORAGE", "OBJ",          "OBJECT", "OBJECT_STORE",
                                       "OBJECT_STORAGE", "S3",           "NFS",    "POOL",
                                       "REMOTE_STORAGE", "P2P",          "G4",     "MOONCAKE",
                                       "REDIS",          "REMOTEBACKEND"};

// Without the number of a device.
std::string_view Kind(std::string_view medium) {
  const size_t colon = medium.rfind(':');
  if (colon == std::string_view::npos || colon + 1 == medium.size()) return medium;
  for (const char digit : medium.substr(colon + 1)) {
    if (digit < '0' || digit > '9') return medium;
  }
  return medium.substr(0, colon);
}

char Plain(char letter) {
  return letter == '-' ? '_' : absl::ascii_toupper(static_cast<unsigned char>(letter));
}

bool EqualKinds(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (Plain(a[i]) != Plain(b[i])) return false;
  }
  return true;
}

template <typename Names>
bool IsIn(const Names& names, std::string_view kind) {
  for (const std::string_view name : names) {
    if (EqualKinds(name, kind)) return true;
  }
  return false;
}

}  // namespace

bool SameMedium(std::string_view a, std::string_view b) { return EqualKinds(Kind(a), Kind(b)); }

Tier TierOfAnyMedium(std::string_view medium, absl::Span<const MediumTier> additions) {
  for (const MediumTier& added : additions) {
    if (SameMedium(added.medium, medium)) return added.tier;
  }
  const std::string_view kind = Kind(medium);
  if (IsIn(kGpuNames, kind)) return Tier::kGpu;
  if (IsIn(kCpuNames, kind)) return Tier::kCpu;
  if (IsIn(kDiskNames, kind)) return Tier::kDisk;
  if (IsIn(kExternalNames, kind)) return Tier::kExternal;
  return Tier::kUnknown;
}

}  // namespace kvroute
