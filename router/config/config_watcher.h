#ifndef KVROUTE_ROUTER_CONFIG_CONFIG_WATCHER_H_
#define KVROUTE_ROUTER_CONFIG_CONFIG_WATCHER_H_

#include <chrono>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "indexer/base/mutex.h"
#include "indexer/base/named_thread.h"
#include "router/config/settled_text.h"

namespace kvroute {

// Notices that a file says something else, however it came to: edited in place, replaced by rename,
// or a directory of symbolic links swapped by Kubernetes. It compares contents at a fixed interval,
// which no way of writing escapes; SettledText says what is taken.
//
// Thread safety: Poke from any thread. `on_text` runs on the watcher's own thread, one call at a
// time, and gets the new text or, once per change, why there is none.
class ConfigWatcher {
 public:
  using OnText = std::function<void(const absl::StatusOr<std::string>&)>;
  // What other files say that the text names, in short.
  using Beside = std::function<uint64_t()>;

  // `known` is the text in force. The text is told again when `beside`, asked on the watcher's
  // thread, gives another number twice running; it may be empty.
  ConfigWatcher(std::string path, std::string known, std::chrono::milliseconds interval,
                OnText on_text, Beside beside = {});
  ~ConfigWatcher();  // waits for on_text
  ConfigWatcher(const ConfigWatcher&) = delete;
  ConfigWatcher& operator=(const ConfigWatcher&) = delete;

  // Looks at once, and hands over what it finds in this and the next look even if it is the same:
  // files that it names may have changed.
  void Poke();

 private:
  void Run();
  void Look();
  void LookBeside();

  const std::string path_;
  const std::chrono::milliseconds interval_;
  const OnText on_text_;
  const Beside beside_;

  // Of the watcher's thread.
  SettledText text_;
  uint64_t beside_known_ = 0, beside_seen_ = 0;

  Mutex mutex_;
  CondVar wake_;
  bool poked_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  NamedThread thread_;  // last: started when all else is there
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_CONFIG_CONFIG_WATCHER_H_
