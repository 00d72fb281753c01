#ifndef KVROUTE_ROUTER_FLEET_DISCOVERY_MODEL_LEARNER_H_
#define KVROUTE_ROUTER_FLEET_DISCOVERY_MODEL_LEARNER_H_

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/random/random.h"
#include "absl/status/statusor.h"
#include "indexer/base/limits.h"
#include "router/fleet/discovery/event_sources.h"
#include "router/fleet/discovery/found_engine.h"
#include "router/http/http_client.h"

namespace kvroute {

// What an engine's GET /v1/models says.
struct ModelList {
  std::string model;                      // the first that has no parent
  std::vector<std::string> served_names;  // others without a parent that are the same (`root`)
  std::vector<std::string> adapters;      // those that have one

  bool operator==(const ModelList&) const = default;
};
// Errors: INVALID_ARGUMENT: it is no such list, or names no model.
absl::StatusOr<ModelList> ReadModelList(std::string_view text);

struct ModelLearnerOptions {
  std::string path = "/v1/models";
  std::string sources_path = "/kv_event_sources";
  std::chrono::milliseconds timeout{2'000};
  std::chrono::milliseconds retry{1'000};     // until it has answered once; doubles up to refresh
  std::chrono::milliseconds refresh{30'000};  // adapters come and go
  // Further ones wait for their turn: the client's connections are for others as well.
  size_t max_asked_at_once = limits::kMaxHttpClientConnections / 4;
};

// Asks engines that were found which model and adapters they serve, and where their ranks publish,
// if they know how to say that, and passes on those of which
// that is known, or was said by who found them. What an engine has said stays true until it says
// otherwise.
//
// Thread safety: made and destroyed on any thread but the client's; Set is for the client's.
// Ownership: the client outlives it.
class ModelLearner {
 public:
  ModelLearner(HttpClient* client, const ModelLearnerOptions& options, OnWorkers next);
  ~ModelLearner();
  ModelLearner(const ModelLearner&) = delete;
  ModelLearner& operator=(const ModelLearner&) = delete;

  void Set(std::vector<OwnedWorker> workers);

  uint64_t unknown() const { return unknown_.load(); }  // workers that have not said their model
  // Once what was first set has been passed on, and each of its engines has been asked: with what
  // it said, or without it if it did not answer.
  bool settled() const { return settled_.load(); }
  // Workers whose events are sought where they say; and answers that could not be used.
  uint64_t with_sources() const { return with_sources_.load(); }
  uint64_t refused_sources() const { return refused_sources_.load(); }

 private:
  struct Known {
    std::string address;
    std::string instance;
    std::optional<ModelList> said;
    bool was_asked = false;              // and has said it, or failed to
    bool waits = false;                  // for its turn to be asked
    std::vector<RankPublisher> sources;  // empty: it does not say where it publishes
    std::chrono::milliseconds pause{0};
    HttpTransferId transfer;
    HttpTimerId timer;
  };

  void Forget(const Known& known);
  void Ask(const std::string& worker_id);
  void AskNext();
  void OnReply(const std::string& worker_id, const HttpReply& reply);
  void AskSources(const std::string& worker_id);
  void OnSources(Known* known, const HttpReply& reply);
  void Send(const std::string& worker_id, const std::string& path,
            std::function<void(Known*, const HttpReply&)> next);
  void AskAgain(const std::string& worker_id, Known* known);
  void PublishSoon();
  void Publish();

  HttpClient* const client_;
  const ModelLearnerOptions options_;
  const OnWorkers next_;
  std::atomic<uint64_t> unknown_{0}, with_sources_{0}, refused_sources_{0};
  std::atomic<bool> settled_{false};

  // The client's thread's.
  std::vector<OwnedWorker> workers_;
  std::map<std::string, Known> known_;  // by worker id
  std::deque<std::string> turns_;       // of those that wait to be asked
  size_t asking_ = 0;                   // transfers that have not ended
  bool is_set_ = false;
  std::optional<HttpTimerId> publishing_;
  absl::BitGen random_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_DISCOVERY_MODEL_LEARNER_H_
