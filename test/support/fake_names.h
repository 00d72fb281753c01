#ifndef KVROUTE_TEST_SUPPORT_FAKE_NAMES_H_
#define KVROUTE_TEST_SUPPORT_FAKE_NAMES_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "indexer/base/mutex.h"
#include "indexer/base/name_service.h"

namespace kvroute {

// For tests: a name service that knows what it was told, and that does not answer for "silent"
// names until it is released. Thread safety: every method from any thread.
class FakeNames final : public NameService {
 public:
  NameAnswer AddressesOf(const std::string& host) override {
    MutexLock lock(&mutex_);
    ++asked_;
    changed_.NotifyAll();
    if (host.starts_with("silent")) {
      while (!released_) changed_.Wait(&mutex_);
      return {.trouble = ConnectTrouble::kNameServer, .addresses = {}};
    }
    const auto it = addresses_.find(host);
    if (it == addresses_.end()) return {.trouble = ConnectTrouble::kNoSuchHost, .addresses = {}};
    return {.trouble = ConnectTrouble::kNone, .addresses = it->second};
  }

  void Set(const std::string& host, std::vector<std::string> addresses) {
    MutexLock lock(&mutex_);
    addresses_.insert_or_assign(host, std::move(addresses));
  }
  int asked() const {
    MutexLock lock(&mutex_);
    return asked_;
  }
  // Returns when so many questions have come.
  void AwaitAsked(int count) {
    MutexLock lock(&mutex_);
    while (asked_ < count) changed_.Wait(&mutex_);
  }
  void Release() {
    MutexLock lock(&mutex_);
    released_ = true;
    changed_.NotifyAll();
  }

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  std::map<std::string, std::vector<std::string>> addresses_ ABSL_GUARDED_BY(mutex_);
  int asked_ ABSL_GUARDED_BY(mutex_) = 0;
  bool released_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_FAKE_NAMES_H_
