#include "tools/convert/epp_reader.h"

#include <fmt/core.h>

#include <algorithm>

#include "absl/strings/numbers.h"

namespace kvroute {

void EppReader::Note(const ConfigNode& at, std::string_view text) {
  notes.push_back(fmt::format("{}: {}", at.place, text));
}

void EppReader::Refuse(const ConfigNode& at, std::string_view text) {
  errors.push_back(fmt::format("{}: {}", at.place, text));
}

void EppReader::Unknown(const ConfigNode& at, std::string_view text) {
  if (ignore_unknown) return Note(at, fmt::format("{}: left out", text));
  Refuse(at, text);
}

void EppReader::ExpectKeys(const ConfigNode& map, std::initializer_list<std::string_view> keys) {
  if (map.kind == ConfigNode::Kind::kEmpty) return;
  if (map.kind != ConfigNode::Kind::kMap) {
    return Refuse(map, fmt::format("{} instead of a map", ConfigKindName(map.kind)));
  }
  for (const auto& [key, value] : map.entries) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      Unknown(value, fmt::format("{}: unknown field", key));
    }
  }
}

std::string EppReader::TextOf(const ConfigNode* map, std::string_view key) {
  const ConfigNode* const found = map == nullptr ? nullptr : map->Find(key);
  return found == nullptr ? std::string() : found->scalar;
}

uint64_t EppReader::NumberOf(const ConfigNode* map, std::string_view key, uint64_t otherwise) {
  const ConfigNode* const found = map == nullptr ? nullptr : map->Find(key);
  if (found == nullptr || found->kind == ConfigNode::Kind::kEmpty) return otherwise;
  uint64_t value = 0;
  if (absl::SimpleAtoi(found->scalar, &value)) return value;
  Refuse(*found, fmt::format("{}: \"{}\" is no number", key, found->scalar));
  return otherwise;
}

bool EppReader::BoolOf(const ConfigNode* map, std::string_view key, bool otherwise) {
  const std::string text = TextOf(map, key);
  if (text.empty()) return otherwise;
  if (text == "true" || text == "false") return text == "true";
  Refuse(*map->Find(key), fmt::format("{}: \"{}\" is neither true nor false", key, text));
  return otherwise;
}

}  // namespace kvroute
