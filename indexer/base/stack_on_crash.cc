#include "indexer/base/stack_on_crash.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "absl/base/config.h"
#include "absl/debugging/symbolize.h"

namespace kvroute {
namespace {

#if defined(ABSL_HAVE_ADDRESS_SANITIZER) || defined(ABSL_HAVE_THREAD_SANITIZER)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
constexpr int kMaxFrames = 64;
constexpr std::array kSignals = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};

std::array<struct sigaction, NSIG> before;

// Formats on the stack and writes at once: the heap may be what is broken.
template <typename... Values>
void WriteLine(const char* format, Values... values) {
  std::array<char, 512> line;
  const int size = std::snprintf(line.data(), line.size(), format, values...);
  if (size <= 0) return;
  const size_t bytes = std::min(static_cast<size_t>(size), line.size() - 1);
  line[bytes - 1] = '\n';  // also of one that was cut
  if (write(STDERR_FILENO, line.data(), bytes) < 0) return;
}

void WriteFrame(int number, void* address) {
  // A return address is behind its call, which may be the last instruction of its function.
  char* const call = static_cast<char*>(address) - 1;
  std::array<char, 256> name = {"?"};
  absl::Symbolize(call, name.data(), static_cast<int>(name.size()));
  Dl_info file{};
  if (dladdr(call, &file) != 0 && file.dli_fname != nullptr) {
    WriteLine("  #%d %.200s +0x%llx %s\n", number, file.dli_fname,
              static_cast<unsigned long long>(call - static_cast<char*>(file.dli_fbase)),
              name.data());
  } else {
    WriteLine("  #%d %p %s\n", number, static_cast<void*>(call), name.data());
  }
}

void WriteStack(int signal, siginfo_t* info, void* context) {
  alarm(5);
  std::array<char, 16> thread = {};
  prctl(PR_GET_NAME, thread.data());
  WriteLine("kvroute: signal %d (%s) on thread %s; its stack:\n", signal, strsignal(signal),
            thread.data());
  std::array<void*, kMaxFrames> frames;
  const int count = backtrace(frames.data(), kMaxFrames);
  for (int i = 0; i < count; ++i) WriteFrame(i, frames[static_cast<size_t>(i)]);

  const struct sigaction& next = before[static_cast<size_t>(signal)];
  if ((next.sa_flags & SA_SIGINFO) != 0) {
    next.sa_sigaction(signal, info, context);
  } else if (next.sa_handler != SIG_DFL && next.sa_handler != SIG_IGN) {
    next.sa_handler(signal);
  }
  raise(signal);  // held back until here; also one that somebody sent ends the process
}

}  // namespace

void WriteStackOnCrash() {
  if (kSanitized) return;
  absl::InitializeSymbolizer("/proc/self/exe");
  std::array<void*, 1> frames;
  backtrace(frames.data(), 1);  // the first call loads a library, which a handler must not
  for (const int signal : kSignals) {
    struct sigaction action = {};
    action.sa_sigaction = WriteStack;
    action.sa_flags = SA_SIGINFO | SA_RESETHAND;
    sigaction(signal, &action, &before[static_cast<size_t>(signal)]);
  }
}

}  // namespace kvroute
