#ifndef KVROUTE_ROUTER_CONFIG_CONFIG_WATCHER_H_
#define KVROUTE_ROUTER_CONFIG_CONFIG_WATCHER_H_

#include <chrono>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "indexer/base/mutex.h"
#include "indexer/base/named_thread.h"

namespace kvroute {

// Notices that a file says something else, however it came to: edited in place, replaced by rename,
// or a directory of symbolic links swapped by Kubernetes. It compares contents at a fixed interval,
// which no way of writing escapes, and takes a new text only when it has read it twice alike, so
// that a half-written file is not taken.
//
// Thread safety: Poke from any thread. `on_text` runs on the watcher's own thread, one call at a
// time, and gets the new text or, once per change, why the file cannot be read.
class ConfigWatcher {
 public:
  using OnText = std::function<void(const absl::StatusOr<std::string>&)>;

  // `known` is the text in force.
  ConfigWatcher(std::string path, std::string known, std::chrono::milliseconds interval,
                OnText on_text);
  ~ConfigWatcher();  // waits for on_text
  ConfigWatcher(const ConfigWatcher&) = delete;
  ConfigWatcher& operator=(const ConfigWatcher&) = delete;

  // Hands over the text at the next look even if it is the same: files that it names may have
  // changed.
  void Poke();

 private:
  void Run();
  void Look(bool poked);

  const std::string path_;
  const std::chrono::milliseconds interval_;
  const OnText on_text_;

  // Of the watcher's thread.
  std::string known_;      // last handed over
  std::string candidate_;  // read once, different from known_
  bool has_candidate_ = false;
  std::string known_error_;

  Mutex mutex_;
  CondVar wake_;
  bool poked_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  NamedThread thread_;  // last: started when all else is there
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_CONFIG_CONFIG_WATCHER_H_
