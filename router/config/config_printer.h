#ifndef KVROUTE_ROUTER_CONFIG_CONFIG_PRINTER_H_
#define KVROUTE_ROUTER_CONFIG_CONFIG_PRINTER_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "router/config/field_visitor.h"

namespace kvroute {

// One field as the reference page shows it.
struct FieldDescription {
  std::string path = {};  // "workers[].rank_overrides[].event_endpoint"
  // "text", "one of a, b", "duration", "number", "bytes", "true or false", "list"
  std::string type;
  std::string default_value = {};
  std::string range = {};
  std::string help = {};
  Applies applies = Applies::kRestart;
};

// Walks the fields of a configuration without changing them.
//   values():       what is in force, one "path: value" a field, list items by index: for comparing
//   two configurations. yaml():         the same as a YAML document that reads back as the same
//   configuration. descriptions(): every field there can be; each list has one made-up item then,
//   so walk a default configuration.
class ConfigPrinter final : public FieldVisitor {
 public:
  enum class Purpose { kValues, kDescriptions };
  // `said_by`: comments of yaml(), by path.
  explicit ConfigPrinter(Purpose purpose, std::map<std::string, std::string> said_by = {})
      : purpose_(purpose), said_by_(std::move(said_by)) {}

  struct Value {
    std::string text;
    Applies applies;
  };
  const std::map<std::string, Value>& values() const { return values_; }
  const std::string& yaml() const { return yaml_; }
  const std::vector<FieldDescription>& descriptions() const { return descriptions_; }

  void Bool(const Field& field, bool* value) override;
  void Integer(const Field& field, std::string_view unit, uint64_t min, uint64_t max,
               uint64_t* value) override;
  void Duration(const Field& field, Nanos min, Nanos max, Nanos* value) override;
  void Text(const Field& field, const TextRule& rule, std::string* value) override;
  void Group(const Field& field, const std::function<void()>& members) override;
  void List(const Field& field, size_t max_items, size_t size,
            const std::function<void(size_t)>& item) override;
  void Check(const std::function<absl::Status()>&) override {}

 private:
  void Leaf(const Field& field, FieldDescription description, const std::string& yaml_value);
  void Line(std::string_view text);
  std::string PathOf(std::string_view name) const;

  const Purpose purpose_;
  const std::map<std::string, std::string> said_by_;
  std::map<std::string, Value> values_;
  std::string yaml_;
  std::vector<FieldDescription> descriptions_;
  std::string path_;
  int indent_ = 0;
  bool first_of_item_ = false;  // the next line starts with "- "
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_CONFIG_CONFIG_PRINTER_H_
