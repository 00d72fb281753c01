#ifndef KVROUTE_TEST_STORM_PROCESS_WATCH_H_
#define KVROUTE_TEST_STORM_PROCESS_WATCH_H_

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace kvroute {

// What a process has taken of the machine, as the kernel says; zero when it is gone.
inline uint64_t OpenDescriptors(pid_t pid) {
  std::error_code error;
  uint64_t count = 0;
  for (std::filesystem::directory_iterator it("/proc/" + std::to_string(pid) + "/fd", error), end;
       !error && it != end; it.increment(error)) {
    ++count;
  }
  return count;
}

// A line of /proc/PID/status in KiB, as bytes: "VmRSS" now, "VmHWM" at its most.
inline uint64_t MemoryBytes(pid_t pid, const std::string& name) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  std::string word;
  uint64_t kib = 0;
  while (status >> word) {
    if (word == name + ":" && status >> kib) return kib * 1'024;
  }
  return 0;
}

}  // namespace kvroute

#endif  // KVROUTE_TEST_STORM_PROCESS_WATCH_H_
