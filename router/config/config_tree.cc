#include "router/config/config_tree.h"

#include <fmt/core.h>
#include <yaml-cpp/yaml.h>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

// Copies the library's tree into ours. The only code that the library's exceptions pass through;
// ParseYaml catches them.
class Copier {
 public:
  explicit Copier(const std::string& name) : name_(name) {}

  ConfigNode Copy(const YAML::Node& from) {
    ConfigNode to;
    to.place = Place(from.Mark());
    if (!error_.ok()) return to;
    if (++nodes_ > limits::kMaxConfigNodes) {
      Fail(to.place, fmt::format("more than {} values", limits::kMaxConfigNodes));
      return to;
    }
    if (from.IsScalar()) {
      to.kind = ConfigNode::Kind::kScalar;
      to.scalar = from.Scalar();
      to.quoted = from.Tag() == "!";
    } else if (from.IsSequence()) {
      to.kind = ConfigNode::Kind::kList;
      for (const YAML::Node& item : from) to.items.push_back(Copy(item));
    } else if (from.IsMap()) {
      to.kind = ConfigNode::Kind::kMap;
      for (const auto& entry : from) CopyEntry(entry.first, entry.second, &to);
    }
    return to;
  }

  const absl::Status& error() const { return error_; }

 private:
  void CopyEntry(const YAML::Node& key, const YAML::Node& value, ConfigNode* to) {
    const std::string place = Place(key.Mark());
    if (!key.IsScalar()) return Fail(place, "a key must be a plain word");
    if (to->Find(key.Scalar()) != nullptr) {
      return Fail(place, fmt::format("key \"{}\" stands here twice", key.Scalar()));
    }
    ConfigNode copy = Copy(value);
    if (copy.kind != ConfigNode::Kind::kScalar) copy.place = place;  // not the line below the key
    to->entries.emplace_back(key.Scalar(), std::move(copy));
  }

  std::string Place(const YAML::Mark& mark) const {
    return mark.line < 0 ? fmt::format("config {}", name_)
                         : fmt::format("config {}:{}", name_, mark.line + 1);
  }

  void Fail(const std::string& place, const std::string& what) {
    if (error_.ok()) error_ = InvalidArgument("{}: {}", place, what);
  }

  const std::string& name_;
  size_t nodes_ = 0;
  absl::Status error_;
};

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
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.empty()) return ConfigNode{.place = fmt::format("config {}", name)};
    Copier copier(name);
    ConfigNode root = copier.Copy(documents.front());
    if (!copier.error().ok()) return copier.error();
    if (documents.size() > 1) {
      return InvalidArgument("config {}: {} documents, there must be one", name, documents.size());
    }
    return root;
  } catch (const YAML::Exception& error) {
    return InvalidArgument("config {}:{}: {}", name, error.mark.line + 1, error.msg);
  }
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
