#ifndef KVROUTE_ROUTER_CONFIG_CONFIG_WATCHER_H_
#define KVROUTE_ROUTER_CONFIG_CONFIG_WATCHER_H_

#include <atomic>
#include <chrono>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "indexer/base/reading_thread.h"
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

  // `known` is the text in force.
  ConfigWatcher(std::string path, std::string known, std::chrono::milliseconds interval,
                OnText on_text);
  // On destruction waits for on_text, but not for a file that cannot be read (ReadingThread).
  ConfigWatcher(const ConfigWatcher&) = delete;
  ConfigWatcher& operator=(const ConfigWatcher&) = delete;

  // Looks at once, and hands over what it finds in this and the next look even if it is the same:
  // files that it names may have changed.
  void Poke();

 private:
  using Text = absl::StatusOr<std::string>;
  void Take(const Text& read);

  const OnText on_text_;
  SettledText text_;  // of the watcher's thread
  std::atomic<bool> poked_{false};
  ReadingThread<Text> thread_;  // last: started when all else is there
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_CONFIG_CONFIG_WATCHER_H_
