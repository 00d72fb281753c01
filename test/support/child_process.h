#ifndef KVROUTE_TEST_SUPPORT_CHILD_PROCESS_H_
#define KVROUTE_TEST_SUPPORT_CHILD_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace kvroute {

// The real kvroute binary of this build ($KVROUTE_BINARY_DIR/kvroute) as a process of a test. Its
// standard output is read through a pipe, its standard error goes into a file. Killed with the
// object. One thread.
class ChildProcess {
 public:
  explicit ChildProcess(const std::vector<std::string>& arguments);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // The next line of standard output without its end; empty when there is none within the time.
  std::string ReadLine(std::chrono::milliseconds timeout = std::chrono::seconds(60));
  void Signal(int signal);
  pid_t pid() const { return pid_; }
  // Waits until it ends; its exit status, or 128 + the signal that ended it, or -1 when it has not
  // ended in time. Once it has ended, the same again.
  int Wait(std::chrono::milliseconds timeout = std::chrono::seconds(60));
  std::string ReadStderr() const;

  // Where a line "kvroute: serving grpc=127.0.0.1:1 http=127.0.0.1:2" says that `name` is bound; 0:
  // it does not.
  static int PortOf(const std::string& line, const std::string& name);

 private:
  pid_t pid_ = -1;
  int ended_as_ = -1;  // what Wait says from then on
  int stdout_fd_ = -1;
  std::string buffered_;
  std::string stderr_path_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_CHILD_PROCESS_H_
