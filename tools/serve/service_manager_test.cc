#include "tools/serve/service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

namespace kvroute {
namespace {

// The socket of a manager, at a path or ("@...") of the abstract namespace.
class Manager {
 public:
  explicit Manager(const std::string& path) : path_(path) {
    fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (path[0] == '@') address.sun_path[0] = '\0';
    const size_t size = offsetof(sockaddr_un, sun_path) + path.size();
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(size)),
              0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~Manager() {
    close(fd_);
    if (path_[0] != '@') unlink(path_.c_str());
    unsetenv("NOTIFY_SOCKET");
  }
  std::string Hears() {
    std::array<char, 64> bytes{};
    const ssize_t got = recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    return {bytes.data(), static_cast<size_t>(got < 0 ? 0 : got)};
  }

 private:
  const std::string path_;
  int fd_;
};

TEST(ServiceManagerTest, IsToldWhereItListens) {
  const std::string pid = std::to_string(getpid());
  for (const std::string& path : {testing::TempDir() + "notify" + pid, "@kvroute-notify" + pid}) {
    Manager manager(path);
    EXPECT_TRUE(TellServiceManager("READY=1")) << path;
    EXPECT_EQ(manager.Hears(), "READY=1") << path;
  }
}

TEST(ServiceManagerTest, WhereThereIsNoneNothingHappens) {
  unsetenv("NOTIFY_SOCKET");
  EXPECT_FALSE(TellServiceManager("READY=1"));
  for (const std::string& path : {std::string("/nowhere/notify"), std::string(200, 'x')}) {
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
    EXPECT_FALSE(TellServiceManager("READY=1")) << path;
  }
  unsetenv("NOTIFY_SOCKET");
}

}  // namespace
}  // namespace kvroute
