#ifndef KVROUTE_ROUTER_CONFIG_CONFIG_TREE_H_
#define KVROUTE_ROUTER_CONFIG_CONFIG_TREE_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace kvroute {

// A configuration document as it was written, each value with the place a person must look at when
// it is wrong. The same for YAML text and for command-line flags, so that both are read by the same
// code with the same limits.
struct ConfigNode {
  enum class Kind : uint8_t { kEmpty, kScalar, kMap, kList };

  Kind kind = Kind::kEmpty;
  std::string place = {};   // "config kvroute.yaml:12", "--grpc-listen"
  std::string scalar = {};  // as written, quotes taken off
  bool quoted = false;      // a string even if it looks like a number
  std::vector<std::pair<std::string, ConfigNode>> entries = {};  // of a map, in order
  std::vector<ConfigNode> items = {};                            // of a list

  // nullptr: a map without that key, or no map.
  const ConfigNode* Find(std::string_view key) const;
  ConfigNode* Find(std::string_view key);
};

std::string_view ConfigKindName(ConfigNode::Kind kind);  // "nothing", "a value", "a map", "a list"

// `name` goes into the places. Errors, each with its place: not text in UTF-8, not YAML, more than
// one document, a key twice, an alias inside of what it stands for, or beyond
// limits::kMaxConfigBytes, kMaxConfigNodes, kMaxConfigAliasNodes, kMaxConfigDepth, kMaxConfigKeys
// or kMaxConfigGapBytes. What an alias stands for counts as often as it is used, its bytes as well,
// so that a short text is never a large tree; reading ends where a limit is reached.
absl::StatusOr<ConfigNode> ParseYaml(const std::string& text, const std::string& name);

// "grpc.listen" and its value become {grpc: {listen: value}} inside `root`, replacing what was
// there.
void SetPath(ConfigNode* root, std::string_view path, ConfigNode value);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_CONFIG_CONFIG_TREE_H_
