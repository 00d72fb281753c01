#include "router/config/config_watcher.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "indexer/base/mutex.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What the watcher handed over, for a test to wait on.
class Received {
 public:
  void Add(const absl::StatusOr<std::string>& text) {
    MutexLock lock(&mutex_);
    texts_.push_back(text.ok() ? *text : "error");
    changed_.NotifyAll();
  }
  // The first `count` texts; fewer only when 20 s have passed.
  std::vector<std::string> Wait(size_t count) {
    MutexLock lock(&mutex_);
    while (texts_.size() < count && changed_.WaitFor(&mutex_, seconds(20))) {
    }
    return texts_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> texts_ ABSL_GUARDED_BY(mutex_);
};

class ConfigWatcherTest : public testing::Test {
 protected:
  ConfigWatcherTest() {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
  }
  ~ConfigWatcherTest() override { std::filesystem::remove_all(dir_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ / name, std::ios::trunc) << text;
  }
  std::unique_ptr<ConfigWatcher> Watch(const std::string& name, const std::string& known) {
    return std::make_unique<ConfigWatcher>(
        (dir_ / name).string(), known, milliseconds(5),
        [this](const absl::StatusOr<std::string>& text) { received_.Add(text); });
  }

  const std::filesystem::path dir_ =
      std::filesystem::path(testing::TempDir()) / ("watch" + std::to_string(getpid()));
  Received received_;
};

using Texts = std::vector<std::string>;

TEST_F(ConfigWatcherTest, TheTextIsToldAgainWhenAFileThatItNamesChanges) {
  Write("k.yaml", "a");
  Write("key", "one");
  const ConfigWatcher watcher(
      (dir_ / "k.yaml").string(), "a", milliseconds(5),
      [this](const absl::StatusOr<std::string>& text) { received_.Add(text); },
      [this] { return Texts({(dir_ / "key").string()}); });
  Write("key", "two");
  EXPECT_EQ(received_.Wait(1), std::vector<std::string>({"a"}));
  Write("key", "three");
  EXPECT_EQ(received_.Wait(2), std::vector<std::string>({"a", "a"}));
}

TEST_F(ConfigWatcherTest, NoticesAnEditInPlaceAndOneByRename) {
  Write("k.yaml", "one");
  const auto watcher = Watch("k.yaml", "one");
  // Not emptied first: the empty file would be a text, too, did it stay so for long enough.
  std::fstream(dir_ / "k.yaml", std::ios::in | std::ios::out) << "two";
  EXPECT_EQ(received_.Wait(1), Texts({"two"}));
  Write("k.new", "three");
  std::filesystem::rename(dir_ / "k.new", dir_ / "k.yaml");
  EXPECT_EQ(received_.Wait(2), Texts({"two", "three"}));
}

// A mounted ConfigMap: k.yaml -> ..data/k.yaml, ..data -> ..v1, and ..data is swapped by rename.
TEST_F(ConfigWatcherTest, NoticesASwapOfKubernetesSymbolicLinks) {
  for (const char* version : {"..v1", "..v2"}) std::filesystem::create_directory(dir_ / version);
  Write("..v1/k.yaml", "one");
  Write("..v2/k.yaml", "two");
  std::filesystem::create_directory_symlink("..v1", dir_ / "..data");
  std::filesystem::create_symlink("..data/k.yaml", dir_ / "k.yaml");
  const auto watcher = Watch("k.yaml", "one");
  std::filesystem::create_directory_symlink("..v2", dir_ / "..tmp");
  std::filesystem::rename(dir_ / "..tmp", dir_ / "..data");
  EXPECT_EQ(received_.Wait(1), Texts({"two"}));
}

TEST_F(ConfigWatcherTest, AMissingFileIsToldOnceAndItsReturnIsToldEvenIfUnchanged) {
  Write("k.yaml", "one");
  const auto watcher = Watch("k.yaml", "one");
  std::filesystem::remove(dir_ / "k.yaml");
  EXPECT_EQ(received_.Wait(1), Texts({"error"}));
  Write("k.new", "one");
  std::filesystem::rename(dir_ / "k.new", dir_ / "k.yaml");
  EXPECT_EQ(received_.Wait(2), Texts({"error", "one"}));
}

TEST_F(ConfigWatcherTest, AFileThatWasEmptiedOrCannotBeReadToItsEndIsNotTaken) {
  Write("k.yaml", "one");
  const auto watcher = Watch("k.yaml", "one");
  std::filesystem::resize_file(dir_ / "k.yaml", 0);
  EXPECT_EQ(received_.Wait(1), Texts({"error"}));
  std::filesystem::create_symlink("/proc/self/mem", dir_ / "k.new");
  std::filesystem::rename(dir_ / "k.new", dir_ / "k.yaml");
  EXPECT_EQ(received_.Wait(2), Texts({"error", "error"}));
}

TEST_F(ConfigWatcherTest, PokeHandsOverAnUnchangedText) {
  Write("k.yaml", "one");
  const auto watcher = Watch("k.yaml", "one");
  watcher->Poke();
  EXPECT_EQ(received_.Wait(1), Texts({"one"}));
}

}  // namespace
}  // namespace kvroute
