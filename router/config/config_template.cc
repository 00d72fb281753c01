#include "router/config/config_template.h"

#include <fmt/core.h>

#include <string_view>
#include <vector>

#include "absl/strings/str_split.h"
#include "router/config/config_printer.h"
#include "router/config/environment.h"
#include "router/config/serve_config.h"

namespace kvroute {
namespace {

constexpr size_t kWidth = 100;

class TemplateWriter {
 public:
  // A field: what it means, then its line.
  void Add(const FieldDescription& field, const std::string& yaml_value) {
    const std::vector<std::string> names = absl::StrSplit(field.path, '.');
    OpenGroups(names);
    const size_t indent = 2 * (names.size() - 1);
    Comment(indent,
            fmt::format("{} [{}; {}; {}]", field.help, field.range, EnvironmentNameOf(field.path),
                        field.applies == Applies::kLive ? "live" : "restart"));
    out_ += fmt::format("{}#{}: {}\n", std::string(indent, ' '), names.back(), yaml_value);
  }

  // A list, and below it what an item may have.
  void AddList(const FieldDescription& list, const std::vector<FieldDescription>& members) {
    const std::vector<std::string> names = absl::StrSplit(list.path, '.');
    OpenGroups(names);
    const size_t indent = 2 * (names.size() - 1);
    Comment(indent, fmt::format("{} [{}; no variable; {}] Each is a map of:", list.help, list.range,
                                list.applies == Applies::kLive ? "live" : "restart"));
    for (const FieldDescription& member : members) {
      const std::string name = member.path.substr(list.path.size() + 3);
      Comment(indent, fmt::format("  {}: {} [{}{}]", name, member.help, member.range,
                                  member.default_value.empty() ? "" : "; " + member.default_value));
    }
    out_ += fmt::format("{}#{}: []\n", std::string(indent, ' '), names.back());
  }

  const std::string& text() const { return out_; }

 private:
  void OpenGroups(const std::vector<std::string>& names) {
    size_t same = 0;
    while (same + 1 < names.size() && same < open_.size() && open_[same] == names[same]) ++same;
    open_.resize(same);
    if (same == 0) out_ += "\n";
    for (size_t i = same; i + 1 < names.size(); ++i) {
      out_ += fmt::format("{}{}:\n", std::string(2 * i, ' '), names[i]);
      open_.push_back(names[i]);
    }
  }

  // "# " before each line of at most kWidth columns.
  void Comment(size_t indent, std::string_view text) {
    const std::string lead = std::string(indent, ' ') + "# ";
    const size_t hang = text.find_first_not_of(' ');
    std::string line = lead + std::string(hang, ' ');
    const std::string start = line;
    for (const std::string& word :
         std::vector<std::string>(absl::StrSplit(std::string(text), ' ', absl::SkipEmpty()))) {
      const bool is_first = line.size() == start.size() || line == start + "  ";
      if (!is_first && line.size() + 1 + word.size() > kWidth) {
        out_ += line + "\n";
        line = start;
        line.append(hang == 0 ? "" : "  ").append(word);
      } else {
        line += (line.back() == ' ' ? "" : " ") + word;
      }
    }
    out_ += line + "\n";
  }

  std::string out_;
  std::vector<std::string> open_;
};

}  // namespace

std::string ConfigTemplate() {
  ServeConfig defaults;
  ConfigPrinter printer(ConfigPrinter::Purpose::kDescriptions);
  VisitFields(&printer, &defaults);
  const std::vector<FieldDescription>& fields = printer.descriptions();
  ConfigPrinter values(ConfigPrinter::Purpose::kValues);
  VisitFields(&values, &defaults);
  TemplateWriter writer;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].path.find("[]") != std::string::npos) continue;  // with its list
    if (fields[i].type != "list") {
      writer.Add(fields[i], values.values().at(fields[i].path).text);
      continue;
    }
    std::vector<FieldDescription> members;
    for (size_t j = i + 1; j < fields.size() && fields[j].path.starts_with(fields[i].path + "[].");
         ++j) {
      members.push_back(fields[j]);
    }
    writer.AddList(fields[i], members);
  }
  return "# Every field of kvroute at its default, made by `kvroute config init`. What is not said "
         "here\n# is so anyway: take the # from a line to change it. Flags outrank environment "
         "variables\n# (KVROUTE_...), which outrank this file; \"live\" fields apply without a "
         "restart. Check with\n# `kvroute serve --config FILE --check-config`.\n" +
         writer.text();
}

}  // namespace kvroute
