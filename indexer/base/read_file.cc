#include "indexer/base/read_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

// A descriptor that is closed when it goes out of scope.
class OpenFile {
 public:
  // Not blocking: a pipe in the file's place is no reason to wait for who writes into it.
  explicit OpenFile(const std::string& path)
      : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) {}
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

absl::Status SystemError(absl::StatusCode code, const std::string& path) {
  return Error(code, "{}: {}", path, std::strerror(errno));
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit_bytes) {
  const OpenFile file(path);
  if (file.fd() < 0) {
    const bool missing = errno == ENOENT || errno == ENOTDIR;
    return SystemError(missing ? absl::StatusCode::kNotFound : absl::StatusCode::kPermissionDenied,
                       path);
  }
  struct stat info {};
  if (fstat(file.fd(), &info) != 0) return SystemError(absl::StatusCode::kUnavailable, path);
  if (!S_ISREG(info.st_mode)) return InvalidArgument("{}: not a regular file", path);
  const auto too_long = [&] {
    return InvalidArgument("{}: longer than the limit of {} bytes", path, limit_bytes);
  };
  if (static_cast<uint64_t>(info.st_size) > limit_bytes) return too_long();

  // One byte more than it is long now: so its end is seen by one more read, not by a second buffer.
  std::string text(static_cast<size_t>(info.st_size) + 1, '\0');
  size_t length = 0;
  while (true) {
    const ssize_t got = read(file.fd(), text.data() + length, text.size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError(absl::StatusCode::kUnavailable, path);
    if (got == 0) break;
    length += static_cast<size_t>(got);
    if (length > limit_bytes) return too_long();
    if (length == text.size()) text.resize(std::min(2 * length, limit_bytes + 1));
  }
  text.resize(length);
  return text;
}

}  // namespace kvroute
