#ifndef KVROUTE_INDEXER_BASE_CHECK_H_
#define KVROUTE_INDEXER_BASE_CHECK_H_

#include <cstdio>
#include <cstdlib>

// A programmer's error ends the process, in every build type. Never used on anything that comes
// from outside.
#define KVROUTE_CHECK(condition)                                                         \
  do {                                                                                   \
    if (!(condition)) [[unlikely]] {                                                     \
      std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)

// The same, only in builds with assertions; for checks too dear for the hot path.
#ifdef NDEBUG
#define KVROUTE_DCHECK(condition) \
  do {                            \
    if (false) (void)(condition); \
  } while (false)
#else
#define KVROUTE_DCHECK(condition) KVROUTE_CHECK(condition)
#endif

#endif  // KVROUTE_INDEXER_BASE_CHECK_H_
