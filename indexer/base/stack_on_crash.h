#ifndef KVROUTE_INDEXER_BASE_STACK_ON_CRASH_H_
#define KVROUTE_INDEXER_BASE_STACK_ON_CRASH_H_

namespace kvroute {

// From now on a signal that ends the process because the program is wrong (SIGABRT, SIGSEGV,
// SIGBUS, SIGILL, SIGFPE) writes the stack of the thread that got it to standard error, a frame a
// line: the file and the offset in it, which `addr2line -Cfipe FILE OFFSET` turns into lines of the
// source, and the function's name where the file has its symbols. Handlers that were there come
// next, then the signal does what it always does. A binary of a sanitizer keeps the sanitizer's.
//
// Whoever reads standard error may have stopped reading: after 5 s SIGALRM ends the process.
//
// Thread safety: call it once, from the main thread, after ConfigureLog.
void WriteStackOnCrash();

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_STACK_ON_CRASH_H_
