#include "indexer/index/memory/arena_ahead.h"

namespace kvroute {

ArenaAhead::ArenaAhead(Arena* arena)
    : arena_(arena), thread_("index-ahead", [this] { RunUntilStopped(); }) {}

ArenaAhead::~ArenaAhead() {
  stop_.store(true);
  arena_->WakeAhead();
  thread_.Join();
}

void ArenaAhead::RunUntilStopped() {
  for (;;) {
    // Read before the arena is looked at: whatever grows from here on ends the wait.
    const uint32_t wakes = arena_->AheadWakes();
    if (stop_.load()) break;
    switch (arena_->TakeAhead()) {
      case Arena::Ahead::kTaken:
        continue;
      case Arena::Ahead::kEnough:
        arena_->WaitForAheadWake(wakes);
        continue;
      case Arena::Ahead::kImpossible:
        return;
    }
  }
}

}  // namespace kvroute
