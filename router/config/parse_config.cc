#include "router/config/parse_config.h"

#include <fmt/core.h>

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "indexer/base/api_limits.h"
#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/read_file.h"
#include "indexer/base/text.h"
#include "router/config/config_reader.h"
#include "router/rights/bearer_tokens.h"

namespace kvroute {
namespace {

constexpr size_t kCurveKeyCharacters = 40;  // 32 bytes in Z85

std::string_view LongFormOf(std::string_view key) {
  if (key == "id") return "worker_id";
  if (key == "block_size") return "block_size_tokens";
  if (key == "events") return "event_endpoint";
  if (key == "replay") return "replay_endpoint";
  if (key == "ranks") return "data_parallel_size";
  return key;
}

absl::Status ReadCurveKey(std::string_view field, const std::string& path, std::string* key) {
  const auto text = ReadFile(path, limits::kMaxKeyFileBytes);
  if (!text.ok()) {
    return InvalidArgument("{}: {}", field, MessageOf(text.status()));
  }
  *key = std::string(absl::StripAsciiWhitespace(*text));
  if (key->size() == kCurveKeyCharacters) return absl::OkStatus();
  return InvalidArgument("{}: {}: {} characters, a Z85 key has {}", field, path, key->size(),
                         kCurveKeyCharacters);
}

absl::Status ReadCurveKeys(const CurveFiles& files, CurveKeys* keys) {
  const bool none = files.server_public_key_file.empty() && files.client_public_key_file.empty() &&
                    files.client_secret_key_file.empty();
  if (none) return absl::OkStatus();
  const std::pair<std::string_view, std::pair<const std::string*, std::string*>> all[] = {
      {"server_public_key_file", {&files.server_public_key_file, &keys->server_public}},
      {"client_public_key_file", {&files.client_public_key_file, &keys->client_public}},
      {"client_secret_key_file", {&files.client_secret_key_file, &keys->client_secret}}};
  for (const auto& [field, places] : all) {
    if (places.first->empty()) {
      return InvalidArgument("{}: is missing; CURVE needs all three key files", field);
    }
    if (absl::Status status = ReadCurveKey(field, *places.first, places.second); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTokenFile(const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  const auto text = ReadFile(path, limits::kMaxTokenFileBytes);
  if (!text.ok()) return text.status();
  const absl::Status status = BearerTokens::Parse(*text).status();
  return status.ok() ? status : InvalidArgument("{}: {}", path, MessageOf(status));
}

constexpr char kErrorsUrl[] = "kvroute/config-errors";

// It quotes the file, which may hold anything: a key of a megabyte, an escape sequence.
std::string Bounded(std::string_view message) {
  const bool cut = message.size() > limits::kMaxConfigErrorBytes;
  return OneLine(message.substr(0, limits::kMaxConfigErrorBytes)) + (cut ? "..." : "");
}

absl::Status Together(const std::vector<std::string>& errors) {
  std::vector<std::string> lines;
  lines.reserve(errors.size());
  for (const std::string& error : errors) lines.push_back(Bounded(error));
  absl::Status status = absl::InvalidArgumentError(Bounded(absl::StrJoin(lines, "; ")));
  status.SetPayload(kErrorsUrl, absl::Cord(absl::StrJoin(lines, "\n")));
  return status;
}

absl::StatusOr<ServeConfig> ReadConfig(const std::string& text, const std::string& name,
                                       const ConfigOverrides& overrides) {
  absl::StatusOr<ConfigNode> root = ParseYaml(text, name);
  if (!root.ok()) return root.status();
  ServeConfig config;
  if (const ConfigNode* workers = root->Find("workers");
      workers != nullptr && workers->kind == ConfigNode::Kind::kList) {
    config.workers_in_file = workers->items.size();
  }
  overrides.ApplyTo(&*root);
  ConfigReader reader(*root);
  VisitFields(&reader, &config);
  if (const auto& errors = reader.Finish(); !errors.empty()) return Together(errors);
  for (size_t i = 0; i < config.listeners.size(); ++i) {
    ListenerFields& listener = config.listeners[i];
    const std::string& file = listener.curve_server_secret_key_file;
    if (file.empty()) continue;
    absl::Status status =
        ReadCurveKey("server_secret_key_file", file, &listener.config.curve_server_secret);
    if (!status.ok()) {
      return InvalidArgument("{}: listeners[{}].curve.{}", root->Find("listeners")->items[i].place,
                             i, MessageOf(status));
    }
  }
  for (size_t i = 0; i < config.workers.size(); ++i) {
    WorkerConfig& worker = config.workers[i];
    if (absl::Status status = ReadCurveKeys(worker.curve, &worker.spec.curve); !status.ok()) {
      return InvalidArgument("{}: workers[{}].curve.{}", root->Find("workers")->items[i].place, i,
                             MessageOf(status));
    }
  }
  if (const absl::Status status = CheckTokenFile(config.rights.token_file); !status.ok()) {
    const ConfigNode* const rights = root->Find("rights");
    return InvalidArgument("{}: rights.token_file: {}", rights == nullptr ? name : rights->place,
                           MessageOf(status));
  }
  return config;
}

}  // namespace

void ConfigOverrides::SetField(std::string_view flag, std::string_view path,
                               std::string_view value) {
  fields_.emplace_back(std::string(path), ConfigNode{.kind = ConfigNode::Kind::kScalar,
                                                     .place = std::string(flag),
                                                     .scalar = std::string(value)});
}

absl::Status ConfigOverrides::AddWorker(std::string_view text) {
  ConfigNode worker{.kind = ConfigNode::Kind::kMap, .place = "--worker"};
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(std::string(text), ','))) {
    const size_t equals = part.find('=');
    if (equals == std::string::npos || equals == 0) {
      return InvalidArgument("--worker: \"{}\" is not key=value", part);
    }
    const std::string key(LongFormOf(std::string_view(part).substr(0, equals)));
    if (worker.Find(key) != nullptr) {
      return InvalidArgument("--worker: {} is given twice", key);
    }
    worker.entries.emplace_back(key, ConfigNode{.kind = ConfigNode::Kind::kScalar,
                                                .place = "--worker",
                                                .scalar = part.substr(equals + 1)});
  }
  workers_.push_back(std::move(worker));
  return absl::OkStatus();
}

std::map<std::string, std::string> ConfigOverrides::SaidBy() const {
  std::map<std::string, std::string> said_by;
  for (const auto& [path, value] : fields_) said_by[path] = value.place;
  return said_by;
}

void ConfigOverrides::ApplyTo(ConfigNode* root) const {
  for (const auto& [path, value] : fields_) SetPath(root, path, value);
  if (workers_.empty()) return;
  ConfigNode* list = root->Find("workers");
  if (list == nullptr || list->kind == ConfigNode::Kind::kEmpty) {
    SetPath(root, "workers", {.kind = ConfigNode::Kind::kList, .place = "--worker"});
    list = root->Find("workers");
  }
  if (list->kind != ConfigNode::Kind::kList) return;  // the reader says what is wrong with it
  for (const ConfigNode& worker : workers_) list->items.push_back(worker);
}

absl::StatusOr<ServeConfig> ParseConfig(const std::string& text, const std::string& name,
                                        const ConfigOverrides& overrides) {
  absl::StatusOr<ServeConfig> config = ReadConfig(text, name, overrides);
  if (config.ok()) return config;
  absl::Status status = InvalidArgument("{}", Bounded(MessageOf(config.status())));
  config.status().ForEachPayload([&status](absl::string_view url, const absl::Cord& payload) {
    status.SetPayload(url, payload);
  });
  return status;
}

std::vector<std::string> ErrorsOf(const absl::Status& status) {
  const absl::optional<absl::Cord> errors = status.GetPayload(kErrorsUrl);
  if (!errors.has_value()) return {std::string(MessageOf(status))};
  return absl::StrSplit(std::string(*errors), '\n');
}

std::vector<std::string> KeyFilesOf(const ServeConfig& config) {
  std::vector<std::string> paths;
  for (const WorkerConfig& worker : config.workers) {
    for (const std::string& path :
         {worker.curve.server_public_key_file, worker.curve.client_public_key_file,
          worker.curve.client_secret_key_file}) {
      if (!path.empty()) paths.push_back(path);
    }
  }
  return paths;
}

}  // namespace kvroute
