#include "indexer/base/thread_supply.h"

#include <pthread.h>

#include <atomic>
#include <vector>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

void* WaitForAll(void* all_there) {
  static_cast<std::atomic<bool>*>(all_there)->wait(false);
  return nullptr;
}

}  // namespace

absl::Status TryThreads(size_t count) {
  std::atomic<bool> all_there{false};
  std::vector<pthread_t> threads;
  threads.reserve(count);
  pthread_t thread{};
  while (threads.size() < count && pthread_create(&thread, nullptr, &WaitForAll, &all_there) == 0) {
    threads.push_back(thread);
  }
  all_there = true;
  all_there.notify_all();
  for (const pthread_t each : threads) pthread_join(each, nullptr);
  if (threads.size() == count) return absl::OkStatus();
  return Error(absl::StatusCode::kUnavailable,
               "threads: the system gives {} of the {} that are needed (RLIMIT_NPROC, or the "
               "container's limit of processes)",
               threads.size(), count);
}

}  // namespace kvroute
