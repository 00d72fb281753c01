#include "router/config/config_printer.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <utility>

namespace kvroute {
namespace {

std::string BytesText(uint64_t bytes) {
  for (const auto& [suffix, shift] : {std::pair("GiB", 30), {"MiB", 20}, {"KiB", 10}}) {
    if (bytes != 0 && bytes % (uint64_t{1} << shift) == 0) {
      return fmt::format("{}{}", bytes >> shift, suffix);
    }
  }
  return fmt::format("{}", bytes);
}

// A YAML double-quoted scalar.
std::string YamlQuoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') out += '\\';
    if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace

std::string ConfigPrinter::PathOf(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

void ConfigPrinter::Line(std::string_view text) {
  std::string lead(static_cast<size_t>(indent_) * 2, ' ');
  if (first_of_item_) lead.replace(lead.size() - 2, 2, "- ");
  first_of_item_ = false;
  yaml_ += fmt::format("{}{}\n", lead, text);
}

void ConfigPrinter::Leaf(const Field& field, FieldDescription description,
                         const std::string& yaml_value) {
  const std::string path = PathOf(field.name);
  values_[path] = {yaml_value, field.applies};
  const auto said_by = said_by_.find(path);
  Line(fmt::format("{}: {}{}", field.name, yaml_value,
                   said_by == said_by_.end() ? "" : "  # " + said_by->second));
  if (purpose_ != Purpose::kDescriptions) return;
  description.path = path;
  description.help = std::string(field.help);
  description.applies = field.applies;
  descriptions_.push_back(std::move(description));
}

void ConfigPrinter::Bool(const Field& field, bool* value) {
  const std::string text = *value ? "true" : "false";
  Leaf(field, {.type = "true or false", .default_value = text}, text);
}

void ConfigPrinter::Integer(const Field& field, std::string_view unit, uint64_t min, uint64_t max,
                            uint64_t* value) {
  const bool bytes = unit == "bytes";
  const auto text = [&](uint64_t n) { return bytes ? BytesText(n) : fmt::format("{}", n); };
  Leaf(field,
       {.type = unit.empty() ? "number" : std::string(unit),
        .default_value = text(*value),
        .range = fmt::format("{} to {}", text(min), text(max))},
       text(*value));
}

void ConfigPrinter::Duration(const Field& field, Nanos min, Nanos max, Nanos* value) {
  Leaf(field,
       {.type = "duration",
        .default_value = FormatDuration(*value),
        .range = fmt::format("{} to {}", FormatDuration(min), FormatDuration(max))},
       FormatDuration(*value));
}

void ConfigPrinter::Text(const Field& field, const TextRule& rule, std::string* value) {
  Leaf(field,
       {.type = "text",
        .default_value = rule.required ? "required" : *value,
        .range = rule.choices.empty() ? fmt::format("up to {} bytes", rule.max_bytes)
                                      : fmt::format("{}", fmt::join(rule.choices, ", "))},
       YamlQuoted(*value));
}

void ConfigPrinter::Group(const Field& field, const std::function<void()>& members) {
  Line(fmt::format("{}:", field.name));
  const std::string parent = std::exchange(path_, PathOf(field.name));
  ++indent_;
  members();
  --indent_;
  path_ = parent;
}

void ConfigPrinter::List(const Field& field, size_t max_items, size_t size,
                         const std::function<void(size_t)>& item) {
  const bool describe = purpose_ == Purpose::kDescriptions;
  const std::string path = PathOf(field.name);
  if (describe) {
    descriptions_.push_back({.path = path,
                             .type = "list",
                             .default_value = "empty",
                             .range = fmt::format("up to {} items", max_items),
                             .help = std::string(field.help),
                             .applies = field.applies});
    size = 1;
  }
  Line(size == 0 ? fmt::format("{}: []", field.name) : fmt::format("{}:", field.name));
  values_[path] = {fmt::format("{} items", size), field.applies};
  const std::string parent = path_;
  indent_ += 2;
  for (size_t i = 0; i < size; ++i) {
    path_ = describe ? path + "[]" : fmt::format("{}[{}]", path, i);
    first_of_item_ = true;
    item(i);
  }
  indent_ -= 2;
  path_ = parent;
}

}  // namespace kvroute
