#include "router/config/config_tree.h"

#include <algorithm>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/text.h"
#include "router/config/yaml_tree.h"

namespace kvroute {
namespace {

// Control characters are refused before the library sees them: it takes 0x04 for the end of the
// text, and what stands behind it would be lost without a word.
absl::Status CheckText(std::string_view text, const std::string& name) {
  for (size_t line = 1; !text.empty(); ++line) {
    const std::string_view here = text.substr(0, text.find('\n'));
    for (const char c : here) {
      const auto byte = static_cast<unsigned char>(c);
      if ((byte < 0x20 && c != '\t' && c != '\r') || byte == 0x7f) {
        return InvalidArgument("config {}:{}: byte 0x{:02x}, which is no text", name, line, byte);
      }
    }
    if (!IsValidUtf8(here)) return InvalidArgument("config {}:{}: is not UTF-8", name, line);
    text.remove_prefix(std::min(here.size() + 1, text.size()));
  }
  return absl::OkStatus();
}

}  // namespace

const ConfigNode* ConfigNode::Find(std::string_view key) const {
  for (const auto& [name, node] : entries) {
    if (name == key) return &node;
  }
  return nullptr;
}

ConfigNode* ConfigNode::Find(std::string_view key) {
  return const_cast<ConfigNode*>(static_cast<const ConfigNode*>(this)->Find(key));
}

std::string_view ConfigKindName(ConfigNode::Kind kind) {
  constexpr std::string_view kNames[] = {"nothing", "a value", "a map", "a list"};
  return kNames[static_cast<size_t>(kind)];
}

absl::StatusOr<ConfigNode> ParseYaml(const std::string& text, const std::string& name) {
  if (text.size() > limits::kMaxConfigBytes) {
    return InvalidArgument("config {}: {} bytes, the limit is {}", name, text.size(),
                           limits::kMaxConfigBytes);
  }
  KVROUTE_RETURN_IF_ERROR(CheckText(text, name));
  return BuildYamlTree(text, name);
}

void SetPath(ConfigNode* root, std::string_view path, ConfigNode value) {
  ConfigNode* node = root;
  while (true) {
    const size_t dot = path.find('.');
    const std::string_view key = path.substr(0, dot);
    if (node->kind == ConfigNode::Kind::kEmpty) node->kind = ConfigNode::Kind::kMap;
    ConfigNode* child = node->Find(key);
    if (child == nullptr) {
      node->entries.emplace_back(std::string(key), ConfigNode{.place = value.place});
      child = &node->entries.back().second;
    }
    if (dot == std::string_view::npos) {
      *child = std::move(value);
      return;
    }
    path.remove_prefix(dot + 1);
    node = child;
  }
}

}  // namespace kvroute
