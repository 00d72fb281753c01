#include "indexer/telemetry/process_metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace kvroute {
namespace {

std::string ReadAll(const char* path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// The fields of /proc/self/stat behind the command name, which may contain spaces: [0] is field 3
// of proc(5).
std::vector<std::string> StatFields() {
  const std::string stat = ReadAll("/proc/self/stat");
  const size_t end_of_name = stat.rfind(')');
  if (end_of_name == std::string::npos) return {};
  return absl::StrSplit(stat.substr(end_of_name + 1), ' ', absl::SkipWhitespace());
}

std::optional<double> BootTimeSeconds() {
  std::ifstream in("/proc/stat");
  for (std::string line; std::getline(in, line);) {
    double seconds = 0;
    if (line.rfind("btime ", 0) == 0 && absl::SimpleAtod(line.substr(6), &seconds)) return seconds;
  }
  return std::nullopt;
}

double CountOpenFds() {
  DIR* const dir = opendir("/proc/self/fd");
  if (dir == nullptr) return 0;
  double count = 0;
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count - 3;  // ".", ".." and the directory itself
}

double SecondsOf(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

void AddProcessMetrics(Exposition* out) {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    out->Add(Metric::kProcessCpu, SecondsOf(usage.ru_utime) + SecondsOf(usage.ru_stime));
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    out->Add(Metric::kProcessMaxFds, static_cast<double>(limit.rlim_cur));
  }
  out->Add(Metric::kProcessOpenFds, CountOpenFds());

  // proc(5), counted from field 3: num_threads 20, starttime 22 (ticks since boot), vsize 23, rss
  // 24 (pages).
  const std::vector<std::string> fields = StatFields();
  double threads = 0, start_ticks = 0, virtual_bytes = 0, resident_pages = 0;
  if (fields.size() <= 21 || !absl::SimpleAtod(fields[17], &threads) ||
      !absl::SimpleAtod(fields[19], &start_ticks) ||
      !absl::SimpleAtod(fields[20], &virtual_bytes) ||
      !absl::SimpleAtod(fields[21], &resident_pages)) {
    return;
  }
  out->Add(Metric::kProcessThreads, threads);
  out->Add(Metric::kProcessVirtual, virtual_bytes);
  out->Add(Metric::kProcessResident, resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE)));
  if (const std::optional<double> boot = BootTimeSeconds()) {
    out->Add(Metric::kProcessStartTime,
             *boot + start_ticks / static_cast<double>(sysconf(_SC_CLK_TCK)));
  }
}

uint64_t ResidentBytes() {
  const std::vector<std::string> fields =
      absl::StrSplit(ReadAll("/proc/self/statm"), ' ', absl::SkipWhitespace());
  uint64_t pages = 0;
  if (fields.size() < 2 || !absl::SimpleAtoi(fields[1], &pages)) return 0;
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace kvroute
