#include "router/config/config_reader.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/nearest_name.h"
#include "indexer/base/text.h"

namespace kvroute {
namespace {

// What was written, fit for one line of an error message.
std::string Quoted(std::string_view text) {
  constexpr size_t kShown = 64;
  const bool cut = text.size() > kShown;
  return fmt::format("\"{}{}\"", absl::CEscape(std::string(text.substr(0, kShown))),
                     cut ? "..." : "");
}

std::optional<uint64_t> ParseNumber(std::string_view text, bool bytes) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  const std::string_view suffix = text.substr(static_cast<size_t>(end - text.data()));
  if (suffix.empty()) return value;
  if (!bytes) return std::nullopt;
  constexpr std::array<std::pair<std::string_view, int>, 3> kSuffixes = {
      {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}}};
  for (const auto& [name, shift] : kSuffixes) {
    if (suffix == name && value <= (UINT64_MAX >> shift)) return value << shift;
  }
  return std::nullopt;
}

}  // namespace

std::string FormatDuration(Nanos duration) {
  return absl::FormatDuration(absl::FromChrono(duration));
}

std::string ConfigReader::PathOf(std::string_view name) const {
  const std::string& parent = scopes_.back().path;
  return parent.empty() ? std::string(name) : fmt::format("{}.{}", parent, name);
}

void ConfigReader::Fail(const ConfigNode& node, std::string_view path, std::string_view what) {
  scopes_.back().failed = true;
  if (errors_.size() >= kMostErrors) return;
  errors_.push_back(path.empty() ? fmt::format("{}: {}", node.place, what)
                                 : fmt::format("{}: {}: {}", node.place, path, what));
}

const ConfigNode* ConfigReader::Take(const Field& field) {
  scopes_.back().asked.emplace_back(field.name);
  return scopes_.back().node->Find(field.name);
}

const ConfigNode* ConfigReader::Scalar(const Field& field, std::string_view expected) {
  const ConfigNode* node = Take(field);
  if (node == nullptr || node->kind == ConfigNode::Kind::kScalar) return node;
  Fail(*node, PathOf(field.name),
       fmt::format("{} where {} is expected", ConfigKindName(node->kind), expected));
  return nullptr;
}

void ConfigReader::Bool(const Field& field, bool* value) {
  const ConfigNode* node = Scalar(field, "true or false");
  if (node == nullptr) return;
  if (!node->quoted && (node->scalar == "true" || node->scalar == "false")) {
    *value = node->scalar == "true";
    return;
  }
  Fail(*node, PathOf(field.name), fmt::format("{} is not true or false", Quoted(node->scalar)));
}

void ConfigReader::Integer(const Field& field, std::string_view unit, uint64_t min, uint64_t max,
                           uint64_t* value) {
  const ConfigNode* node = Scalar(field, "a whole number");
  if (node == nullptr) return;
  std::optional<uint64_t> number;
  if (!node->quoted) number = ParseNumber(node->scalar, unit == "bytes");
  const std::string space_unit = unit.empty() ? "" : fmt::format(" {}", unit);
  if (!number) {
    Fail(*node, PathOf(field.name),
         fmt::format("{} is not a whole number from {} to {}{}", Quoted(node->scalar), min, max,
                     space_unit));
  } else if (*number < min || *number > max) {
    Fail(*node, PathOf(field.name),
         fmt::format("{} is out of range, {} to {}{}", *number, min, max, space_unit));
  } else {
    *value = *number;
  }
}

void ConfigReader::Duration(const Field& field, Nanos min, Nanos max, Nanos* value) {
  const ConfigNode* node = Scalar(field, "a duration");
  if (node == nullptr) return;
  absl::Duration duration;
  if (!absl::ParseDuration(node->scalar, &duration)) {
    Fail(*node, PathOf(field.name),
         fmt::format("{} is not a duration such as 500ms, 5s or 1m30s", Quoted(node->scalar)));
  } else if (duration < absl::FromChrono(min) || duration > absl::FromChrono(max)) {
    Fail(*node, PathOf(field.name),
         fmt::format("{} is out of range, {} to {}", node->scalar, FormatDuration(min),
                     FormatDuration(max)));
  } else {
    *value = absl::ToChronoNanoseconds(duration);
  }
}

void ConfigReader::Text(const Field& field, const TextRule& rule, std::string* value) {
  const ConfigNode* node = Scalar(field, "text");
  if (node == nullptr) {
    if (rule.required && scopes_.back().node->Find(field.name) == nullptr) {
      scopes_.back().missing.emplace_back(field.name);
      scopes_.back().failed = true;
    }
    return;
  }
  if (!rule.choices.empty() &&
      std::find(rule.choices.begin(), rule.choices.end(), node->scalar) == rule.choices.end()) {
    Fail(*node, PathOf(field.name),
         fmt::format("{} is not one of {}", Quoted(node->scalar), fmt::join(rule.choices, ", ")));
  } else if (node->scalar.size() > rule.max_bytes) {
    Fail(*node, PathOf(field.name),
         fmt::format("{} bytes, the limit is {}", node->scalar.size(), rule.max_bytes));
  } else if (rule.required && node->scalar.empty()) {
    Fail(*node, PathOf(field.name), "is empty");
  } else if (!IsOneLine(node->scalar)) {
    Fail(*node, PathOf(field.name), fmt::format("{} has control characters", Quoted(node->scalar)));
  } else {
    *value = node->scalar;
  }
}

void ConfigReader::Group(const Field& field, const std::function<void()>& members) {
  const ConfigNode* node = Take(field);
  static const ConfigNode kNothing;
  const std::string path = PathOf(field.name);
  if (node != nullptr && node->kind != ConfigNode::Kind::kMap &&
      node->kind != ConfigNode::Kind::kEmpty) {
    Fail(*node, path, fmt::format("{} where a map is expected", ConfigKindName(node->kind)));
    return;
  }
  Descend(node == nullptr ? kNothing : *node, path, members);
}

void ConfigReader::List(const Field& field, size_t max_items, size_t size,
                        const std::function<void(size_t)>& item) {
  const ConfigNode* node = Take(field);
  if (node == nullptr || node->kind == ConfigNode::Kind::kEmpty) return;
  const std::string path = PathOf(field.name);
  if (node->kind != ConfigNode::Kind::kList) {
    Fail(*node, path, fmt::format("{} where a list is expected", ConfigKindName(node->kind)));
    return;
  }
  if (node->items.size() > max_items) {
    Fail(*node, path, fmt::format("{} items, the limit is {}", node->items.size(), max_items));
    return;
  }
  for (size_t i = 0; i < node->items.size(); ++i) {
    const ConfigNode& element = node->items[i];
    const std::string item_path = fmt::format("{}[{}]", path, i);
    if (element.kind != ConfigNode::Kind::kMap) {
      Fail(element, item_path,
           fmt::format("{} where a map is expected", ConfigKindName(element.kind)));
      continue;
    }
    Descend(element, item_path, [&] { item(size + i); });
  }
}

const ConfigNode& ConfigReader::NodeOf(std::string_view message) const {
  const ConfigNode* node = scopes_.back().node;
  std::string_view path = message.substr(0, message.find(':'));
  while (!path.empty()) {
    const ConfigNode* const member = node->Find(path.substr(0, path.find_first_of(".[")));
    if (member == nullptr) break;
    node = member;
    path.remove_prefix(std::min(path.find_first_of(".["), path.size()));
    size_t item = 0;
    if (path.starts_with('[') && path.find(']') != std::string_view::npos) {
      const std::string number(path.substr(1, path.find(']') - 1));
      if (!absl::SimpleAtoi(number, &item) || item >= node->items.size()) break;
      node = &node->items[item];
      path.remove_prefix(path.find(']') + 1);
    }
    if (path.starts_with('.')) path.remove_prefix(1);
  }
  return *node;
}

void ConfigReader::Check(const std::function<absl::Status()>& check) {
  if (scopes_.back().failed) return;
  const absl::Status status = check();
  if (status.ok()) return;
  const std::string& path = scopes_.back().path;
  const std::string message(MessageOf(status));
  // The line of the member that the message names first, when it was written; else of the group.
  Fail(NodeOf(message), "", path.empty() ? message : fmt::format("{}.{}", path, message));
}

void ConfigReader::Descend(const ConfigNode& node, std::string path,
                           const std::function<void()>& members) {
  scopes_.push_back({&node, std::move(path)});
  members();
  EndScope();
  const bool failed = scopes_.back().failed;
  scopes_.pop_back();
  if (failed) scopes_.back().failed = true;
}

void ConfigReader::EndScope() {
  Scope& scope = scopes_.back();
  std::vector<std::string> open;  // fields that are not there
  for (const std::string& name : scope.asked) {
    if (scope.node->Find(name) == nullptr) open.push_back(name);
  }
  for (const auto& [name, node] : scope.node->entries) {
    const bool known = std::find(scope.asked.begin(), scope.asked.end(), name) != scope.asked.end();
    if (known) continue;
    const std::string meant = NearestName(name, open);
    std::erase(scope.missing, meant);
    Fail(node, PathOf(name),
         fmt::format("there is no such field{}", DidYouMean(name, scope.asked)));
  }
  for (const std::string& name : scope.missing) {
    Fail(*scope.node, PathOf(name), "is missing");
  }
}

const std::vector<std::string>& ConfigReader::Finish() {
  const ConfigNode& root = *scopes_.front().node;
  if (root.kind != ConfigNode::Kind::kMap && root.kind != ConfigNode::Kind::kEmpty) {
    Fail(root, "", fmt::format("{} where a map is expected", ConfigKindName(root.kind)));
  }
  EndScope();
  return errors_;
}

}  // namespace kvroute
