#include "indexer/base/stack_on_crash.h"

#include <pthread.h>
#include <signal.h>

#include <cstdlib>
#include <string>
#include <thread>

#include "absl/base/config.h"
#include "gtest/gtest.h"
#include "indexer/base/log.h"

namespace kvroute {
namespace {

class StackOnCrashDeathTest : public testing::Test {
 protected:
  void SetUp() override {
#if defined(ABSL_HAVE_ADDRESS_SANITIZER) || defined(ABSL_HAVE_THREAD_SANITIZER)
    GTEST_SKIP() << "sanitizers write stacks of their own";
#endif
    GTEST_FLAG_SET(death_test_style, "threadsafe");  // else the log's thread is not in the child
  }
};

void OnThread(const char* name, void (*end)()) {
  std::thread([&] {
    pthread_setname_np(pthread_self(), name);
    end();
  }).join();
}

TEST_F(StackOnCrashDeathTest, AnAbortHasItsThreadItsStackAndThenItsReason) {
  EXPECT_EXIT(
      {
        WriteStackOnCrash();
        OnThread("lane 7", [] { std::abort(); });
      },
      testing::KilledBySignal(SIGABRT),
      "signal 6 \\(Aborted\\) on thread lane 7; its stack:\n(.*\n)*.*libc\\.so.* \\+0x[0-9a-f]+");
  EXPECT_EXIT(
      {
        LogIfAborted("the reason");
        WriteStackOnCrash();
        std::abort();
      },
      testing::KilledBySignal(SIGABRT), "its stack:\n(.*\n)*.*error.*the reason");
}

TEST_F(StackOnCrashDeathTest, SoHasAnAccessToNothing) {
  EXPECT_EXIT(
      {
        WriteStackOnCrash();
        OnThread("lane 8", [] { raise(SIGSEGV); });
      },
      testing::KilledBySignal(SIGSEGV), "signal 11 .* on thread lane 8; its stack:\n  #0 ");
}

}  // namespace
}  // namespace kvroute
