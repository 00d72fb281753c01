#include "router/config/config_watcher.h"

#include <utility>

#include "indexer/base/limits.h"
#include "indexer/base/read_file.h"
#include "router/config/parse_config.h"

namespace kvroute {

ConfigWatcher::ConfigWatcher(std::string path, std::string known,
                             std::chrono::milliseconds interval, OnText on_text)
    : path_(std::move(path)),
      interval_(interval),
      on_text_(std::move(on_text)),
      known_(std::move(known)),
      thread_("config-watch", [this] { Run(); }) {}

ConfigWatcher::~ConfigWatcher() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  wake_.NotifyAll();
  thread_.Join();
}

void ConfigWatcher::Poke() {
  {
    MutexLock lock(&mutex_);
    poked_ = true;
  }
  wake_.NotifyAll();
}

void ConfigWatcher::Run() {
  while (true) {
    bool poked = false;
    {
      MutexLock lock(&mutex_);
      if (!ending_ && !poked_) wake_.WaitFor(&mutex_, interval_);
      if (ending_) return;
      poked = std::exchange(poked_, false);
    }
    Look(poked);
  }
}

void ConfigWatcher::Look(bool poked) {
  absl::StatusOr<std::string> text = ReadFile(path_, limits::kMaxConfigBytes);
  if (!text.ok()) {
    has_candidate_ = false;
    std::string error(text.status().message());
    if (error != std::exchange(known_error_, error) || poked) on_text_(text);
    return;
  }
  const bool seen_twice = has_candidate_ && candidate_ == *text;
  const bool was_unreadable = !known_error_.empty();
  if (*text == known_ && !poked && !was_unreadable) {
    has_candidate_ = false;
  } else if (seen_twice || poked || was_unreadable) {
    has_candidate_ = false;
    known_error_.clear();
    known_ = *text;
    on_text_(text);
  } else {
    candidate_ = *std::move(text);
    has_candidate_ = true;
  }
}

}  // namespace kvroute
