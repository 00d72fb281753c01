#include "router/config/config_watcher.h"

#include <utility>

#include "indexer/base/limits.h"
#include "indexer/base/read_file.h"

namespace kvroute {
ConfigWatcher::ConfigWatcher(std::string path, std::string known,
                             std::chrono::milliseconds interval, OnText on_text, Beside beside)
    : path_(std::move(path)),
      interval_(interval),
      on_text_(std::move(on_text)),
      beside_(std::move(beside)),
      text_(path_, std::move(known)),
      beside_known_(beside_ ? beside_() : 0),
      beside_seen_(beside_known_),
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

// As of the text: what is being written is waited for.
void ConfigWatcher::LookBeside() {
  const uint64_t now = beside_();
  if (now == std::exchange(beside_seen_, now) && now != std::exchange(beside_known_, now)) {
    text_.TellAgain();
  }
}

void ConfigWatcher::Look() {
  if (beside_) LookBeside();
  const auto told = text_.Look(ReadFile(path_, limits::kMaxConfigBytes));
  if (told) on_text_(*told);
}

}  // namespace kvroute
