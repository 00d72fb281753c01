#include "router/config/config_watcher.h"

#include <utility>

#include "absl/hash/hash.h"
#include "indexer/base/limits.h"
#include "indexer/base/mutex.h"
#include "indexer/base/read_file.h"

namespace kvroute {

// The files that the text names. Thread safety: any thread.
class ConfigWatcher::Beside {
 public:
  explicit Beside(std::vector<std::string> paths) : paths_(std::move(paths)) {}

  void Set(std::vector<std::string> paths) {
    MutexLock lock(&mutex_);
    paths_ = std::move(paths);
  }
  // A number for what they say now.
  uint64_t Read() const {
    uint64_t number = 0;
    for (const std::string& path : Paths()) {
      const Text text = ReadFile(path, limits::kMaxKeyFileBytes);
      number = absl::HashOf(number, text.ok(), text.ok() ? *text : std::string());
    }
    return number;
  }

 private:
  std::vector<std::string> Paths() const {
    MutexLock lock(&mutex_);
    return paths_;
  }

  mutable Mutex mutex_;
  std::vector<std::string> paths_ ABSL_GUARDED_BY(mutex_);
};

ConfigWatcher::ConfigWatcher(std::string path, std::string known,
                             std::chrono::milliseconds interval, OnText on_text, Named named)
    : on_text_(std::move(on_text)),
      named_(std::move(named)),
      beside_(std::make_shared<Beside>(named_ ? named_() : std::vector<std::string>())),
      text_(path, std::move(known)),
      beside_known_(beside_->Read()),
      beside_seen_(beside_known_),
      thread_(
          "config-watch", interval,
          [path = std::move(path), beside = beside_] {
            return Reading{ReadFile(path, limits::kMaxConfigBytes), beside->Read()};
          },
          [this](const Reading& read) { Take(read); }) {}

void ConfigWatcher::Poke() {
  poked_ = true;
  thread_.Poke();
}

// As of the text: what is being written is waited for.
void ConfigWatcher::TakeBeside(uint64_t beside) {
  if (beside == std::exchange(beside_seen_, beside) &&
      beside != std::exchange(beside_known_, beside)) {
    text_.TellAgain();
  }
}

void ConfigWatcher::Take(const Reading& read) {
  if (poked_.exchange(false)) text_.TellAgain();
  TakeBeside(read.beside);
  const auto told = text_.Look(read.text);
  if (!told) return;
  on_text_(*told);
  if (named_) beside_->Set(named_());
}

}  // namespace kvroute
