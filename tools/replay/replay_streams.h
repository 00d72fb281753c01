#ifndef KVROUTE_TOOLS_REPLAY_REPLAY_STREAMS_H_
#define KVROUTE_TOOLS_REPLAY_REPLAY_STREAMS_H_

#include <cstdint>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "tools/corpus/corpus_file.h"
#include "tools/replay/replay_index.h"

namespace kvroute {

// The streams of a corpus, one a (worker, rank), opened in an index under test and, where one is
// given, under the same ids in a model. Thread safety: one thread at a time; lanes that own
// disjoint workers have one each.
class ReplayStreams {
 public:
  explicit ReplayStreams(ReplayIndex* index) : index_(index) {}

  // Opens the operation's stream when it is new. RESOURCE_EXHAUSTED at the index's limit.
  absl::Status Introduce(const CorpusOperation& op);

  // The stream of an event; one whose event ids went down has restarted and comes back as a new,
  // empty stream.
  struct Current {
    StreamId stream;
    StreamId before;  // differs from `stream` when it has just restarted
  };
  Current Advance(const CorpusOperation& op);

  uint64_t WorkerOf(StreamId stream) const { return worker_of_.at(stream); }
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (const auto& [stream, worker] : worker_of_) visit(stream);
  }

 private:
  struct Stream {
    StreamId id;
    bool started = false;
    uint64_t last_event_id = 0;
  };
  static std::pair<uint64_t, uint32_t> Key(const CorpusOperation& op) {
    return {op.worker_id, op.dp_rank};
  }

  ReplayIndex* const index_;
  absl::flat_hash_map<std::pair<uint64_t, uint32_t>, Stream> streams_;
  absl::flat_hash_map<StreamId, uint64_t> worker_of_;  // open streams
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_REPLAY_REPLAY_STREAMS_H_
