#ifndef KVROUTE_TOOLS_CONVERT_EPP_CONFIG_H_
#define KVROUTE_TOOLS_CONVERT_EPP_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace kvroute {

struct EppConversion {
  // What llm-d's picker is told by flags instead of its file; empty: not said.
  std::string pool;
  std::string kube_namespace;
  // What kvroute has nothing for is noted instead of refused.
  bool ignore_unknown = false;
};

struct ConvertedConfig {
  std::string yaml;                // of `kvroute serve`, which takes it
  std::vector<std::string> notes;  // "file:line: what became of it"
};

// llm-d's EndpointPickerConfig (YAML or JSON) as a configuration of kvroute. What decides where
// requests may go is taken over or refused; what only weighs one engine against another, or is done
// without being asked for, is noted.
//
// Errors: INVALID_ARGUMENT with one line for each thing that is wrong or unknown, each with its
// place in the file.
absl::StatusOr<ConvertedConfig> ConvertEppConfig(const std::string& text, const std::string& name,
                                                 const EppConversion& options);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_CONVERT_EPP_CONFIG_H_
