#ifndef KVROUTE_TOOLS_REPLAY_REPLAY_REPORT_H_
#define KVROUTE_TOOLS_REPLAY_REPLAY_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "indexer/index/prefix_index.h"

namespace kvroute {

// Times of one kind of operation; quantiles over all samples.
struct OperationTimes {
  uint64_t operations = 0;
  uint64_t blocks = 0;
  double total_ns = 0;
  double p50_ns = 0;
  double p99_ns = 0;
  double p999_ns = 0;

  static OperationTimes Of(std::vector<float>* samples_ns, uint64_t blocks);  // sorts them
  double MeanNs() const { return operations == 0 ? 0 : total_ns / static_cast<double>(operations); }
  double NsPerBlock() const { return blocks == 0 ? 0 : total_ns / static_cast<double>(blocks); }
};

// What one replay of a corpus measured.
struct ReplayRun {
  // Closed loop: service times. Open loop: from an operation's deadline to its completion; clears
  // count as removals of no block.
  OperationTimes query_chaining;  // from local hashes
  OperationTimes query;           // the others: prefix hashes given. Closed loop: one in eight
  OperationTimes store;
  OperationTimes remove;
  OperationTimes clear;
  double elapsed_s = 0;  // first operation issued to last completed
  // Processor time over wall time of what was timed; well below 1, something else ran on the core
  // meanwhile. Closed loop only.
  double cpu_share = 0;
  double probe_ns = 0;           // SpeedProbe, in the mean. Closed loop only.
  uint64_t verified_blocks = 0;  // of the queries: up to the deepest match
  uint64_t checksum = 0;  // sum over queries and matches of blocks x (worker + 1); closed loop only

  struct OpenLoop {
    double window_s = 0;
    double issue_span_s = 0;  // until the last operation was begun
    bool KeptUp(double end_s) const {
      return issue_span_s <= 1.01 * window_s && end_s <= 1.10 * window_s;
    }
  };
  std::optional<OpenLoop> open;

  PrefixIndexStats stats;         // at the end
  uint64_t rss_growth_bytes = 0;  // of the process, from before the index to the end

  uint64_t RequestedBlockOps() const {
    return query_chaining.blocks + query.blocks + store.blocks + remove.blocks;
  }
  uint64_t VerifiedBlockOps() const { return verified_blocks + store.blocks + remove.blocks; }
};

struct ReplayReport {
  std::string corpus;
  std::string index;
  std::string mode;
  bool second_half_only = false;
  std::vector<ReplayRun> runs;

  std::string ToText() const;
  std::string ToJson() const;
};

uint64_t ProcessRssBytes();

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_REPLAY_REPLAY_REPORT_H_
