#include "router/config/config_watcher.h"

#include <utility>

#include "indexer/base/limits.h"
#include "indexer/base/read_file.h"

namespace kvroute {
ConfigWatcher::ConfigWatcher(std::string path, std::string known,
                             std::chrono::milliseconds interval, OnText on_text)
    : path_(std::move(path)),
      interval_(interval),
      on_text_(std::move(on_text)),
      text_(path_, std::move(known)),
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
    {
      MutexLock lock(&mutex_);
      if (!ending_ && !poked_) wake_.WaitFor(&mutex_, interval_);
      if (ending_) return;
      if (std::exchange(poked_, false)) text_.TellAgain();
    }
    Look();
  }
}

void ConfigWatcher::Look() {
  const auto told = text_.Look(ReadFile(path_, limits::kMaxConfigBytes));
  if (told) on_text_(*told);
}

}  // namespace kvroute
