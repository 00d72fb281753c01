#include "tools/ask/worker_message.h"

#include "indexer/base/error.h"
#include "router/config/parse_config.h"

namespace kvroute {

absl::StatusOr<v1::Worker> WorkerMessage(const std::string& text) {
  ConfigOverrides one;
  if (absl::Status status = one.AddWorker(text); !status.ok()) return status;
  const absl::StatusOr<ServeConfig> config = ParseConfig("", "", one);
  if (!config.ok()) return config.status();
  const WorkerConfig& worker = config->workers.at(0);
  if (worker.draining) {
    return absl::InvalidArgumentError("--worker: draining: is for `kvroute drain`");
  }
  const WorkerSpec& spec = worker.spec;
  v1::Worker message;
  message.set_worker_id(spec.worker_id);
  message.set_address(spec.address);
  message.set_model(spec.model);
  message.set_engine(std::string(EngineKindName(spec.engine)));
  message.set_block_size_tokens(spec.block_size_tokens);
  message.set_event_endpoint(spec.event_endpoint);
  message.set_replay_endpoint(spec.replay_endpoint);
  message.set_topic(spec.topic);
  message.set_data_parallel_size(spec.data_parallel_size);
  if (spec.copies.has_value()) message.set_copies(std::string(kCopyModeNames[*spec.copies]));
  message.set_bigram(spec.bigram);
  message.set_max_requests_in_flight(spec.max_requests_in_flight);
  if (spec.first_rank.has_value()) message.set_first_rank(*spec.first_rank);
  message.set_role(std::string(kWorkerRoleNames[spec.role]));
  return message;
}

}  // namespace kvroute
