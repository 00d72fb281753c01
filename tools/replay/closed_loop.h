#ifndef KVROUTE_TOOLS_REPLAY_CLOSED_LOOP_H_
#define KVROUTE_TOOLS_REPLAY_CLOSED_LOOP_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/corpus/corpus_file.h"
#include "tools/replay/replay_index.h"
#include "tools/replay/replay_report.h"

namespace kvroute {

// Runs the corpus one operation after the other and times each. With `second_half_only` the first
// half of the operations is applied untimed, so that what is timed runs on a full, churned index.
absl::StatusOr<ReplayRun> ReplayClosedLoop(const Corpus& corpus, bool second_half_only,
                                           ReplayIndex* index);

// Runs the corpus against the index and the reference model together, compares every result of
// every operation, and the totals at the end. Errors: INTERNAL names the first operation that
// differs and both results.
absl::Status CheckAgainstModel(const Corpus& corpus, ReplayIndex* index);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_REPLAY_CLOSED_LOOP_H_
