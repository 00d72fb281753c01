#ifndef KVROUTE_ROUTER_CONFIG_YAML_TREE_H_
#define KVROUTE_ROUTER_CONFIG_YAML_TREE_H_

#include <string>

#include "absl/status/statusor.h"
#include "router/config/config_tree.h"

namespace kvroute {

// The tree of the one document in `text`, which must be UTF-8 without control characters. For
// ParseYaml (config_tree.h), which says what is refused.
absl::StatusOr<ConfigNode> BuildYamlTree(const std::string& text, const std::string& name);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_CONFIG_YAML_TREE_H_
