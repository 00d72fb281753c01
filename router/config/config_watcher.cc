#include "router/config/config_watcher.h"

#include <utility>

#include "indexer/base/limits.h"
#include "indexer/base/read_file.h"

namespace kvroute {

ConfigWatcher::ConfigWatcher(std::string path, std::string known,
                             std::chrono::milliseconds interval, OnText on_text)
    : on_text_(std::move(on_text)),
      text_(path, std::move(known)),
      thread_(
          "config-watch", interval,
          [path = std::move(path)] { return ReadFile(path, limits::kMaxConfigBytes); },
          [this](const Text& read) { Take(read); }) {}

void ConfigWatcher::Poke() {
  poked_ = true;
  thread_.Poke();
}

void ConfigWatcher::Take(const Text& read) {
  if (poked_.exchange(false)) text_.TellAgain();
  const auto told = text_.Look(read);
  if (told) on_text_(*told);
}

}  // namespace kvroute
