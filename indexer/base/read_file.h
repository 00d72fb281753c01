#ifndef KVROUTE_INDEXER_BASE_READ_FILE_H_
#define KVROUTE_INDEXER_BASE_READ_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace kvroute {

// A whole file. Errors name it: it is not there, may not be opened, is no regular file, is longer
// than `limit_bytes`, or cannot be read to its end (UNAVAILABLE): never a part of it. Costs memory
// and time for what the file holds, not for what it might.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit_bytes);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_READ_FILE_H_
