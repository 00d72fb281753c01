#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_DIALER_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_DIALER_H_

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "indexer/base/mutex.h"
#include "indexer/base/name_service.h"
#include "indexer/base/named_thread.h"
#include "indexer/base/network_list.h"
#include "indexer/base/wake_fd.h"
#include "indexer/source/zmq/endpoint.h"

namespace kvroute {

// What became of an endpoint's being sought.
struct Dialed {
  ConnectTrouble trouble = ConnectTrouble::kNone;
  std::string endpoint;  // tcp:// with the address that answers; empty with a trouble
};

// Finds out where the host of an endpoint answers, or why it does not, on a thread of its own: name
// servers and networks may take as long as they like, and libzmq has its I/O thread wait for them.
// A name's addresses are asked for; where there are several, the first to take a TCP connection is
// it, whatever its family.
//
// Thread safety: every method from any thread. Ownership: nothing of it is used after it is gone;
// its destructor waits for no name server.
class Dialer {
 public:
  enum class Purpose : uint8_t {
    kAddress,    // one to connect to; a name's only address is taken without a try
    kDiagnosis,  // whether there is anybody at all; waits behind those that want an address
  };
  // Something sought. Whoever drops it is not interested any more.
  class Call {
   public:
    bool done() const { return done_.load(std::memory_order_acquire); }
    const Dialed& dialed() const { return dialed_; }  // of one that is done

   private:
    friend class Dialer;
    Dialed dialed_;
    std::atomic<bool> done_{false};
  };

  // Errors: RESOURCE_EXHAUSTED without descriptors.
  static absl::StatusOr<std::unique_ptr<Dialer>> Start(std::shared_ptr<NameService> names,
                                                       std::chrono::milliseconds timeout);
  ~Dialer();
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

  // Of a TCP endpoint. `not_at`: an address that took connections and was no engine; another that
  // answers is preferred. `networks`: where alone it may be; outlives the dialer. It is done within
  // the timeout of its turn; kMaxDials have theirs at a time.
  std::shared_ptr<const Call> Dial(const TcpEndpoint& endpoint, Purpose purpose,
                                   const std::string& not_at = "",
                                   const NetworkList* networks = nullptr);

 private:
  struct Attempt;  // a connection to one address
  struct Job;

  Dialer(std::shared_ptr<NameService> names, std::chrono::milliseconds timeout);
  void Run();
  bool TakeJobs();  // false: to end
  // Whose turn is next; nullptr: nobody's.
  std::deque<std::unique_ptr<Job>>* NextQueue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Wait();
  bool Advance(Job* job);  // true: it is done
  void Begin(Job* job);
  bool Judge(Job* job);
  static void Finish(Job* job, Dialed dialed);

  const std::shared_ptr<WakeFd> wake_ = std::make_shared<WakeFd>();
  const std::chrono::nanoseconds timeout_;
  NameLookups lookups_;
  std::vector<std::unique_ptr<Job>> running_;  // of the thread

  Mutex mutex_;
  std::deque<std::unique_ptr<Job>> urgent_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::unique_ptr<Job>> diagnoses_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  NamedThread thread_;  // last
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_DIALER_H_
