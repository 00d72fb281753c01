#include "router/config/environment.h"

#include <algorithm>
#include <array>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "indexer/base/nearest_name.h"
#include "indexer/base/text.h"
#include "router/config/config_printer.h"

namespace kvroute {
namespace {

constexpr std::string_view kPrefix = "KVROUTE_";

// Begin the names of what scripts/ and tests read; test/structure/test_environment.py holds the
// list to them, and fields out of it.
constexpr std::array<std::string_view, 11> kOfScripts = {
    "KVROUTE_AARCH64_", "KVROUTE_BINARY", "KVROUTE_BUILD",   "KVROUTE_COLD_START",
    "KVROUTE_ENVOY",    "KVROUTE_FUZZ_",  "KVROUTE_RECORD_", "KVROUTE_SHARED",
    "KVROUTE_STORM_",   "KVROUTE_TEST_",  "KVROUTE_WRITE_"};

// KVROUTE_SERVICE_HOST, KVROUTE_PORT_9108_TCP_ADDR, KVROUTE_GRPC_SERVICE_PORT: what Kubernetes
// tells every container of a namespace about a service "kvroute" or "kvroute-grpc".
bool IsKubernetes(std::string_view name) {
  const absl::string_view text(name.data(), name.size());
  return absl::EndsWith(text, "_SERVICE_HOST") || absl::StrContains(text, "_SERVICE_PORT") ||
         absl::EndsWith(text, "_PORT") || absl::StrContains(text, "_PORT_");
}

}  // namespace

std::string EnvironmentNameOf(std::string_view path) {
  std::string name(kPrefix);
  for (const char c : path) {
    name += c == '.' ? '_' : absl::ascii_toupper(static_cast<unsigned char>(c));
  }
  return name;
}

std::vector<std::string> EnvironmentFields() {
  ServeConfig defaults;
  ConfigPrinter printer(ConfigPrinter::Purpose::kDescriptions);
  VisitFields(&printer, &defaults);
  std::vector<std::string> paths;
  for (const FieldDescription& field : printer.descriptions()) {
    const bool is_list = field.type == "list" || field.path.find("[]") != std::string::npos;
    if (!is_list) paths.push_back(field.path);
  }
  return paths;
}

std::vector<std::string> TakeEnvironment(const std::vector<std::string>& environment,
                                         ConfigOverrides* overrides) {
  std::map<std::string, std::string, std::less<>> paths;
  std::vector<std::string> names;
  for (const std::string& path : EnvironmentFields()) {
    names.push_back(EnvironmentNameOf(path));
    paths.emplace(names.back(), path);
  }
  std::vector<std::string> unknown;
  for (const std::string& variable : environment) {
    const size_t equals = variable.find('=');
    if (!variable.starts_with(kPrefix) || equals == std::string::npos) continue;
    const std::string name = variable.substr(0, equals);
    const std::string value = variable.substr(equals + 1);
    if (const auto path = paths.find(name); path != paths.end()) {
      if (!value.empty()) overrides->SetField(name, path->second, value);
      continue;
    }
    const bool is_of_script =
        std::any_of(kOfScripts.begin(), kOfScripts.end(),
                    [&name](std::string_view begin) { return name.starts_with(begin); });
    if (is_of_script || IsKubernetes(name)) continue;
    unknown.push_back("environment: " + OneLine(name) + ": no field has this variable" +
                      DidYouMean(name, names));
  }
  std::sort(unknown.begin(), unknown.end());
  return unknown;
}

}  // namespace kvroute
