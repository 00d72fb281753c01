#ifndef KVROUTE_INDEXER_INDEX_MEMORY_ARENA_AHEAD_H_
#define KVROUTE_INDEXER_INDEX_MEMORY_ARENA_AHEAD_H_

#include <atomic>

#include "indexer/base/named_thread.h"
#include "indexer/index/memory/arena.h"

namespace kvroute {

// The thread that takes memory from the system before an arena grows into it. A huge page has to be
// found and cleared when it is first touched: 0.1 ms, and several where a hypervisor has to find it
// first. Otherwise that is a writer, under locks that others wait for.
//
// Nobody waits for it: memory that it did not come to is taken when it is touched, as without it.
// Where the system cannot be asked for memory so (before Linux 5.14) it ends at once.
//
// Thread safety: none needed. Ownership: the arena outlives it.
class ArenaAhead {
 public:
  explicit ArenaAhead(Arena* arena);
  ~ArenaAhead();
  ArenaAhead(const ArenaAhead&) = delete;
  ArenaAhead& operator=(const ArenaAhead&) = delete;

 private:
  void RunUntilStopped();

  Arena* const arena_;
  std::atomic<bool> stop_{false};
  NamedThread thread_;  // last: it uses all of the above
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_MEMORY_ARENA_AHEAD_H_
