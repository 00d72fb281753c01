#ifndef KVROUTE_ROUTER_CONFIG_PARSE_CONFIG_H_
#define KVROUTE_ROUTER_CONFIG_PARSE_CONFIG_H_

#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "router/config/config_tree.h"
#include "router/config/serve_config.h"

namespace kvroute {

// What the environment and then the command line say, in this order: what is said later outranks
// what is said before, and both outrank the file, also when it is read again. Starts empty.
class ConfigOverrides {
 public:
  // `flag` is what an error names: SetField("--grpc-listen", "grpc.listen", "0.0.0.0:1").
  void SetField(std::string_view flag, std::string_view path, std::string_view value);
  // "id=w0,address=http://..,events=tcp://..,replay=tcp://..": a worker beside those of the file.
  // Keys are the fields of workers[], and the short forms id, block_size, events, replay and ranks
  // (data_parallel_size).
  absl::Status AddWorker(std::string_view text);

  void ApplyTo(ConfigNode* root) const;
  // Which flag or variable says a field, by its path.
  std::map<std::string, std::string> SaidBy() const;

 private:
  std::vector<std::pair<std::string, ConfigNode>> fields_;
  std::vector<ConfigNode> workers_;
};

// Defaults, then `text` (YAML; `name` for messages), then the overrides; checked, key files read.
// One line of error, of text and of bounded length whatever the file holds:
// "config FILE:LINE: field.path: what, value, limit"; several are "...; ...".
absl::StatusOr<ServeConfig> ParseConfig(const std::string& text, const std::string& name,
                                        const ConfigOverrides& overrides);
// What such an error says, one line each.
std::vector<std::string> ErrorsOf(const absl::Status& status);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_CONFIG_PARSE_CONFIG_H_
