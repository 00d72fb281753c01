#include "indexer/base/read_file.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "indexer/base/error.h"

namespace kvroute {

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit_bytes) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    return absl::NotFoundError(fmt::format("{}: {}", path, std::strerror(errno)));
  }
  if (!S_ISREG(info.st_mode)) {
    return InvalidArgument("{}: not a regular file", path);
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::PermissionDeniedError(fmt::format("{}: {}", path, std::strerror(errno)));
  std::string text(limit_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() <= limit_bytes) return text;
  return InvalidArgument("{}: longer than the limit of {} bytes", path, limit_bytes);
}

}  // namespace kvroute
