#ifndef KVROUTE_INDEXER_BASE_READ_FILE_H_
#define KVROUTE_INDEXER_BASE_READ_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace kvroute {

// A whole file. Errors name it: it is not there, may not be read, is no regular file, or is longer
// than `limit_bytes`, which bounds what is read.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit_bytes);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_READ_FILE_H_
