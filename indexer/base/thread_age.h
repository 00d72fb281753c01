#ifndef KVROUTE_INDEXER_BASE_THREAD_AGE_H_
#define KVROUTE_INDEXER_BASE_THREAD_AGE_H_

#include <string>

#include "indexer/base/clock.h"

namespace kvroute {

// How far a thread has got: a large age is one that is stuck, or waits for something outside.
struct ThreadAge {
  std::string name;
  Nanos without_progress{0};  // while it has work; about 0 when it has none
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_THREAD_AGE_H_
