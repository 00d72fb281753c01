#ifndef KVROUTE_ROUTER_CONFIG_FIELD_VISITOR_H_
#define KVROUTE_ROUTER_CONFIG_FIELD_VISITOR_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "indexer/base/clock.h"

namespace kvroute {

// When a changed field of a watched file takes effect.
enum class Applies : uint8_t { kLive, kRestart };

struct Field {
  std::string_view name;
  std::string_view help;  // one sentence for docs/configuration.md
  Applies applies = Applies::kRestart;
};

struct TextRule {
  size_t max_bytes = 1'024;
  bool required = false;
  std::vector<std::string_view> choices = {};  // empty: any text
};

// One walk over all fields of the configuration (VisitFields in serve_config.h) serves every
// purpose: reading a file, printing what is in force, comparing two, writing the reference page.
// What a field is called, means and may hold is therefore said in one place.
class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;

  virtual void Bool(const Field& field, bool* value) = 0;
  // `unit` is "", "bytes" (suffixes KiB, MiB, GiB are understood), "tokens", ...
  virtual void Integer(const Field& field, std::string_view unit, uint64_t min, uint64_t max,
                       uint64_t* value) = 0;
  virtual void Duration(const Field& field, Nanos min, Nanos max, Nanos* value) = 0;
  virtual void Text(const Field& field, const TextRule& rule, std::string* value) = 0;
  // `members` visits the fields inside.
  virtual void Group(const Field& field, const std::function<void()>& members) = 0;
  // `item(i)` visits the fields of item i, making it first when i == size.
  virtual void List(const Field& field, size_t max_items, size_t size,
                    const std::function<void(size_t)>& item) = 0;
  // What one field alone cannot say about the group or item being visited; `check` is only run on
  // values that were read. Its message starts with the name of the member that is wrong.
  virtual void Check(const std::function<absl::Status()>& check) = 0;

  // The same for the types that options have.
  template <typename Int>
  void Number(const Field& field, std::string_view unit, uint64_t min, uint64_t max, Int* value) {
    auto wide = static_cast<uint64_t>(*value);
    Integer(field, unit, min, max, &wide);
    *value = static_cast<Int>(wide);
  }
  void Millis(const Field& field, Nanos min, Nanos max, std::chrono::milliseconds* value) {
    Nanos wide = *value;
    Duration(field, min, max, &wide);
    *value = std::chrono::duration_cast<std::chrono::milliseconds>(wide);
  }
  // `names` are the enum's (EnumNames). Any other text leaves the value as it is.
  template <typename Names>
  void Choice(const Field& field, const Names& names, typename Names::Enum* value) {
    std::string text(names[*value]);
    Text(field, {.choices = {names.begin(), names.end()}}, &text);
    *value = names.Parse(text).value_or(*value);
  }
  template <typename Item, typename Members>
  void ListOf(const Field& field, size_t max_items, std::vector<Item>* items, Members members) {
    List(field, max_items, items->size(), [&](size_t i) {
      if (i == items->size()) items->emplace_back();
      members(&(*items)[i]);
    });
  }
};

std::string FormatDuration(Nanos duration);  // "500ms", "5s", "1m30s"

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_CONFIG_FIELD_VISITOR_H_
