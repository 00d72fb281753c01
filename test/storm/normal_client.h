#ifndef KVROUTE_TEST_STORM_NORMAL_CLIENT_H_
#define KVROUTE_TEST_STORM_NORMAL_CLIENT_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "indexer/base/named_thread.h"

namespace kvroute {

// What one gateway does all the time: a Route, then a Complete, a moment later the next, on a
// thread and a connection of its own. It is never to be refused.
//
// Thread safety: any thread.
class NormalClient {
 public:
  NormalClient(const std::string& grpc_address, const std::string& model);
  ~NormalClient();
  NormalClient(const NormalClient&) = delete;
  NormalClient& operator=(const NormalClient&) = delete;

  // Returns when it got so many more answers, or none came within ten seconds.
  void AwaitAnswers(uint64_t count);

  struct Record {
    std::vector<std::chrono::nanoseconds> latencies;  // of each Route that was answered, unsorted
    std::vector<std::string> failures;                // of each that was not, with its reason
  };
  // Of the time since the last call.
  Record Take();

 private:
  void Run(const std::string& grpc_address, const std::string& model);

  std::mutex mutex_;
  std::condition_variable changed_, ending_;
  uint64_t answers_ = 0;
  bool stop_ = false;
  Record record_;
  NamedThread thread_;
};

// The share-th of them, 0 to 1; zero of none.
std::chrono::nanoseconds Percentile(std::vector<std::chrono::nanoseconds> latencies, double share);

}  // namespace kvroute

#endif  // KVROUTE_TEST_STORM_NORMAL_CLIENT_H_
