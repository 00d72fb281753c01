#ifndef KVROUTE_TOOLS_REPLAY_OPEN_LOOP_H_
#define KVROUTE_TOOLS_REPLAY_OPEN_LOOP_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "tools/corpus/corpus_file.h"
#include "tools/replay/replay_index.h"
#include "tools/replay/replay_report.h"

namespace kvroute {

struct OpenLoopOptions {
  uint64_t window_ns = 0;        // what the deadlines are scaled to; 0: the corpus's own window
  double offered_block_ops = 0;  // a second; sets the window from the corpus's total when not 0
  uint32_t query_lanes = 1;
  uint32_t event_lanes = 1;  // a worker's events stay on one lane, in order
  bool pin = true;           // lane i to processor i modulo their number, query lanes first
  bool second_half_only = false;
};

// Runs the corpus against its clock: each lane issues its operations when they are due, or at once
// when it is late. A lane issues for itself, so there is no queue between issue and service; what
// waits, waits in the time from its deadline. The run ends with the last completion: the drain is
// part of it.
absl::StatusOr<ReplayRun> ReplayOpenLoop(const Corpus& corpus, const OpenLoopOptions& options,
                                         ReplayIndex* index);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_REPLAY_OPEN_LOOP_H_
