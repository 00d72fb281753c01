#ifndef KVROUTE_TEST_SUPPORT_VECTORS_H_
#define KVROUTE_TEST_SUPPORT_VECTORS_H_

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"

namespace kvroute {

// A file of test/vectors, by its path there; test/vectors/README.md says what they are. ctest runs
// every test in the source directory. A vector that is missing, or is not JSON where JSON is
// wanted, throws, which ends the test as failed.
inline std::string ReadVector(const std::string& path) {
  std::ifstream file("test/vectors/" + path, std::ios::binary);
  if (!file) throw std::runtime_error("test/vectors/" + path + " is not there");
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

inline nlohmann::json ReadVectorJson(const std::string& path) {
  return nlohmann::json::parse(ReadVector(path));
}

// The frames of a message: hexadecimal in the file.
inline std::vector<std::string> Unhex(const nlohmann::json& frames) {
  std::vector<std::string> bytes;
  for (const auto& frame : frames) {
    bytes.push_back(absl::HexStringToBytes(frame.get<std::string>()));
  }
  return bytes;
}

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_VECTORS_H_
