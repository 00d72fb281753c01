#include "test/benchmark/support/process_memory.h"

#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include "indexer/base/check.h"

namespace kvroute {

uint64_t HeapBytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

ChildNumbers RunInChild(const std::function<void(ChildNumbers*)>& body) {
  int ends[2];
  KVROUTE_CHECK(pipe(ends) == 0);
  const pid_t child = fork();
  KVROUTE_CHECK(child >= 0);
  ChildNumbers numbers{};
  if (child == 0) {
    body(&numbers);
    const bool written = write(ends[1], &numbers, sizeof(numbers)) == sizeof(numbers);
    _exit(written ? 0 : 1);
  }
  close(ends[1]);
  const bool read_all = read(ends[0], &numbers, sizeof(numbers)) == sizeof(numbers);
  close(ends[0]);
  int status = 0;
  KVROUTE_CHECK(waitpid(child, &status, 0) == child);
  KVROUTE_CHECK(read_all && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return numbers;
}

}  // namespace kvroute
