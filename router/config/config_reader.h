#ifndef KVROUTE_ROUTER_CONFIG_CONFIG_READER_H_
#define KVROUTE_ROUTER_CONFIG_CONFIG_READER_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "router/config/config_tree.h"
#include "router/config/field_visitor.h"

namespace kvroute {

// Fills fields from a document, strictly: an unknown key, a wrong type or a value out of range is
// an error that names the place, the field, the value and what is accepted. All errors are kept, up
// to kMostErrors; what fields say together is only checked where each could be read. A
// key that is probably a field's, misspelt, is one error, not a second one for the field.
class ConfigReader final : public FieldVisitor {
 public:
  static constexpr size_t kMostErrors = 50;

  explicit ConfigReader(const ConfigNode& root) : scopes_{{&root, ""}} {}

  void Bool(const Field& field, bool* value) override;
  void Integer(const Field& field, std::string_view unit, uint64_t min, uint64_t max,
               uint64_t* value) override;
  void Duration(const Field& field, Nanos min, Nanos max, Nanos* value) override;
  void Text(const Field& field, const TextRule& rule, std::string* value) override;
  void Group(const Field& field, const std::function<void()>& members) override;
  void List(const Field& field, size_t max_items, size_t size,
            const std::function<void(size_t)>& item) override;
  void Check(const std::function<absl::Status()>& check) override;

  // After the walk: looks for keys of the root that no field asked for. What is wrong, each with
  // its place; empty: nothing.
  const std::vector<std::string>& Finish();

 private:
  struct Scope {
    const ConfigNode* node;
    std::string path;
    std::vector<std::string> asked = {};
    std::vector<std::string> missing = {};  // required, and not there
    bool failed = false;                    // something in it is wrong
  };

  // The scalar of a field, or nullptr when it is absent or something else.
  const ConfigNode* Scalar(const Field& field, std::string_view expected);
  const ConfigNode* Take(const Field& field);
  void Descend(const ConfigNode& node, std::string path, const std::function<void()>& members);
  // What a message is about: "workers[2].address: is ..." is the address of the third item.
  const ConfigNode& NodeOf(std::string_view message) const;
  void EndScope();
  std::string PathOf(std::string_view name) const;
  void Fail(const ConfigNode& node, std::string_view path, std::string_view what);

  std::vector<Scope> scopes_;
  std::vector<std::string> errors_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_CONFIG_CONFIG_READER_H_
