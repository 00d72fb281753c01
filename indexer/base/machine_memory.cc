#include "indexer/base/machine_memory.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kvroute {
namespace {

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

// "max", which is how version 2 says that there is none, and whatever else is no number, is none;
// version 1 says it with a number beyond any machine's memory.
uint64_t LimitIn(const std::string& file) {
  std::ifstream in(file);
  std::string word;
  uint64_t bytes = 0;
  return in >> word && absl::SimpleAtoi(word, &bytes) && bytes > 0 ? bytes : kNoLimit;
}

uint64_t MachineTotal(const std::string& root) {
  std::ifstream in(root + "/proc/meminfo");
  for (std::string line; std::getline(in, line);) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipWhitespace());
    uint64_t kib = 0;
    if (words.size() > 1 && words[0] == "MemTotal:" && absl::SimpleAtoi(words[1], &kib)) {
      return kib * 1024;
    }
  }
  return kNoLimit;
}

// The tightest limit of a group and of those around it, up to where the hierarchy is mounted.
// Inside a container the group's own path is often not below the mount: then the mount is the
// group.
uint64_t TightestAbove(const std::string& mount, std::string group, std::string_view file) {
  uint64_t tightest = LimitIn(absl::StrCat(mount, "/", std::string(file)));
  for (; group.size() > 1; group.resize(group.rfind('/'))) {  // it begins with one
    tightest = std::min(tightest, LimitIn(absl::StrCat(mount, group, "/", std::string(file))));
  }
  return tightest;
}

// Lines "hierarchy:controllers:path"; hierarchy 0 without controllers is version 2.
uint64_t GroupLimit(const std::string& root) {
  std::ifstream in(root + "/proc/self/cgroup");
  uint64_t tightest = kNoLimit;
  for (std::string line; std::getline(in, line);) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3 || parts[2].empty() || parts[2][0] != '/') continue;
    if (parts[1].empty()) {
      tightest = std::min(tightest, TightestAbove(root + "/sys/fs/cgroup", parts[2], "memory.max"));
    }
    const std::vector<std::string> controllers = absl::StrSplit(parts[1], ',');
    if (std::find(controllers.begin(), controllers.end(), "memory") != controllers.end()) {
      tightest = std::min(tightest, TightestAbove(root + "/sys/fs/cgroup/memory", parts[2],
                                                  "memory.limit_in_bytes"));
    }
  }
  return tightest;
}

uint64_t AddressSpaceLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kNoLimit;
  return limit.rlim_cur / 2;
}

}  // namespace

uint64_t MachineMemoryBytes(const std::string& root) {
  const uint64_t bytes = std::min({MachineTotal(root), GroupLimit(root), AddressSpaceLimit()});
  return bytes == kNoLimit ? 0 : bytes;
}

}  // namespace kvroute
