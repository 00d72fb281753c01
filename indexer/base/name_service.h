#ifndef KVROUTE_INDEXER_BASE_NAME_SERVICE_H_
#define KVROUTE_INDEXER_BASE_NAME_SERVICE_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "indexer/base/connect_trouble.h"
#include "indexer/base/wake_fd.h"

namespace kvroute {

struct NameAnswer {
  ConnectTrouble trouble = ConnectTrouble::kNone;
  std::vector<std::string> addresses;  // literal, the preferred ones first
};

// Who knows the addresses of a name: a border of the program. Thread safety: any thread.
class NameService {
 public:
  virtual ~NameService() = default;
  // May take as long as it likes: see NameLookups.
  virtual NameAnswer AddressesOf(const std::string& host) = 0;

  // As the system is set up: files, name servers. Both families.
  static std::shared_ptr<NameService> System();
};

// Questions to a name service, kMaxNameLookups at a time. A name server that does not answer holds
// whoever asks, and nothing can end that: so questions are put on threads that nobody waits for,
// not even the end of the process. They own whatever they touch.
//
// Thread safety: every method from any thread.
class NameLookups {
 public:
  // One question. `answered` is set last, with release.
  struct Question {
    std::string host;
    NameAnswer answer;
    std::atomic<bool> answered{false};
  };

  // `wake` is woken when a question has been answered.
  NameLookups(std::shared_ptr<NameService> service, std::shared_ptr<WakeFd> wake);
  ~NameLookups();  // what has not been asked yet is not asked any more
  NameLookups(const NameLookups&) = delete;
  NameLookups& operator=(const NameLookups&) = delete;

  // Whoever drops the question is not interested any more. Every question is answered in the end:
  // as kNameServer at once where the system gives no thread to put it on.
  std::shared_ptr<const Question> Ask(const std::string& host);

 private:
  struct State;
  static void Work(const std::shared_ptr<State>& state);

  const std::shared_ptr<State> state_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_NAME_SERVICE_H_
