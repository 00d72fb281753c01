#ifndef KVROUTE_TOOLS_LOAD_SCORE_LOAD_H_
#define KVROUTE_TOOLS_LOAD_SCORE_LOAD_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "indexer/base/latency_histogram.h"
#include "indexer/base/named_thread.h"
#include "tools/load/load_publisher.h"
#include "tools/load/load_report.h"

namespace kvroute {

// Asks Router.Score for prompts of the running load at a fixed rate from a thread of its own, until
// Finish or its end. At a rate of 0 it does nothing.
class ScoreLoad {
 public:
  // The publisher must outlive it.
  ScoreLoad(const std::string& address, const std::string& model, uint32_t block_size_tokens,
            double calls_per_second, const LoadPublisher* publisher);
  ~ScoreLoad();

  // Ends the calls; their latencies, and how many failed.
  LatencySummary Finish(uint64_t* failed);

 private:
  void Run(const std::string& address, const std::string& model, uint32_t block_size_tokens,
           double calls_per_second);

  const LoadPublisher* const publisher_;
  std::atomic<bool> stop_{false};
  LatencyHistogram latency_;
  Nanos slowest_{0};     // written by the thread, read once it has ended
  uint64_t failed_ = 0;  // likewise
  NamedThread thread_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_LOAD_SCORE_LOAD_H_
