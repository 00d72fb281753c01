#ifndef KVROUTE_TEST_SUPPORT_SHARED_FILES_H_
#define KVROUTE_TEST_SUPPORT_SHARED_FILES_H_

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"

namespace kvroute {

// Files beside the project that a checkout may lack (vectors, traces): in $KVROUTE_SHARED, else
// ../shared as seen from the source directory, where ctest runs every test. A test skips when it
// gets nullopt.
inline std::optional<std::string> ReadSharedFile(std::string_view path) {
  const char* configured = std::getenv("KVROUTE_SHARED");
  std::ifstream file(
      std::string(configured != nullptr ? configured : "../shared") + "/" + std::string(path),
      std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

// A file that is there but is not JSON is an error of the test: nlohmann's exception ends it.
inline std::optional<nlohmann::json> ReadSharedJson(std::string_view path) {
  const std::optional<std::string> text = ReadSharedFile(path);
  if (!text) return std::nullopt;
  return nlohmann::json::parse(*text);
}

// The frames of a vector: hexadecimal in the file.
inline std::vector<std::string> Unhex(const nlohmann::json& frames) {
  std::vector<std::string> bytes;
  for (const auto& frame : frames) {
    bytes.push_back(absl::HexStringToBytes(frame.get<std::string>()));
  }
  return bytes;
}

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_SHARED_FILES_H_
