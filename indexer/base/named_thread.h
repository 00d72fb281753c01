#ifndef KVROUTE_INDEXER_BASE_NAMED_THREAD_H_
#define KVROUTE_INDEXER_BASE_NAMED_THREAD_H_

#include <pthread.h>

#include <string>
#include <thread>
#include <utility>

namespace kvroute {

// A thread with a name that top, gdb and perf show (15 characters at most; the rest is cut). Joined
// on destruction: its owner must have told it to end before that.
class NamedThread {
 public:
  NamedThread() = default;
  template <typename Body>
  NamedThread(std::string name, Body body)
      : thread_([name = name.substr(0, 15), body = std::move(body)]() mutable {
          pthread_setname_np(pthread_self(), name.c_str());
          body();
        }) {}
  ~NamedThread() { Join(); }
  NamedThread(NamedThread&&) = default;
  NamedThread& operator=(NamedThread&& other) noexcept {
    Join();
    thread_ = std::move(other.thread_);
    return *this;
  }

  void Join() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::thread thread_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_NAMED_THREAD_H_
