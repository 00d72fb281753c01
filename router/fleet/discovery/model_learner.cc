#include "router/fleet/discovery/model_learner.h"

#include <simdjson.h>

#include <algorithm>
#include <utility>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/text.h"

namespace kvroute {
namespace {

constexpr std::chrono::milliseconds kGatherAnswers{50};

bool IsName(std::string_view text) {
  return !text.empty() && text.size() <= limits::kMaxModelBytes && IsOneLine(text);
}

}  // namespace

absl::StatusOr<ModelList> ReadModelList(std::string_view text) {
  simdjson::dom::parser parser{limits::kMaxModelListBytes};
  simdjson::dom::array data;
  const auto error = parser.parse(text.data(), text.size())["data"].get(data);
  if (error != simdjson::SUCCESS) return InvalidArgument("models: {}", error_message(error));
  ModelList list;
  std::string_view first_root;
  for (const simdjson::dom::element each : data) {
    std::string_view id, parent;
    if (each["id"].get(id) != simdjson::SUCCESS || !IsName(id)) continue;
    const bool has_parent = each["parent"].get(parent) == simdjson::SUCCESS && !parent.empty();
    std::string_view root;
    if (each["root"].get(root) != simdjson::SUCCESS) root = {};
    if (!has_parent && list.model.empty()) {
      list.model = id;
      first_root = root;
    } else if (!has_parent && !root.empty() && root == first_root && id != list.model &&
               list.served_names.size() < limits::kMaxServedNames) {
      list.served_names.emplace_back(id);
    }
    if (has_parent && list.adapters.size() < limits::kMaxAdapters) list.adapters.emplace_back(id);
  }
  if (list.model.empty()) return InvalidArgument("models: none is named");
  std::sort(list.served_names.begin(), list.served_names.end());
  std::sort(list.adapters.begin(), list.adapters.end());
  return list;
}

ModelLearner::ModelLearner(HttpClient* client, const ModelLearnerOptions& options, OnWorkers next)
    : client_(client), options_(options), next_(std::move(next)) {}

ModelLearner::~ModelLearner() {
  client_->RunAndWait([this] {
    for (const auto& [id, known] : known_) Forget(known);
    if (publishing_) client_->CancelTimer(*publishing_);
    known_.clear();  // what ends by that finds nothing to do
    turns_.clear();
  });
}

void ModelLearner::Forget(const Known& known) {
  client_->Cancel(known.transfer);
  client_->CancelTimer(known.timer);
}

void ModelLearner::Set(std::vector<OwnedWorker> workers) {
  workers_ = std::move(workers);
  is_set_ = true;
  std::map<std::string, Known> before = std::exchange(known_, {});
  for (const OwnedWorker& worker : workers_) {
    const WorkerSpec& spec = worker.spec;
    const auto it = before.find(spec.worker_id);
    const bool is_same = it != before.end() && it->second.address == spec.address &&
                         it->second.instance == spec.instance;
    if (is_same) {
      known_.insert(before.extract(it));
      continue;
    }
    Known& known = known_[spec.worker_id];
    known.address = spec.address;
    known.instance = spec.instance;
    Ask(spec.worker_id);
  }
  for (const auto& [id, gone] : before) Forget(gone);
  Publish();
}

void ModelLearner::Send(const std::string& worker_id, const std::string& path,
                        std::function<void(Known*, const HttpReply&)> next) {
  const auto it = known_.find(worker_id);
  if (it == known_.end()) return;
  HttpRequest request;
  request.url = fmt::format("http://{}{}", it->second.address, path);
  request.deadline = request.connect_timeout = options_.timeout;
  request.max_reply_bytes = limits::kMaxModelListBytes;
  ++asking_;
  it->second.transfer =
      client_->Send(std::move(request), [this, worker_id, asked = it->second.instance,
                                         next = std::move(next)](const HttpReply& reply) {
        --asking_;
        const auto still = known_.find(worker_id);
        const bool is_wanted = reply.end != HttpEnd::kCancelled && still != known_.end() &&
                               still->second.instance == asked;
        if (is_wanted) next(&still->second, reply);
        AskNext();
      });
}

void ModelLearner::Ask(const std::string& worker_id) {
  if (asking_ >= options_.max_asked_at_once) {
    const auto it = known_.find(worker_id);
    if (it != known_.end() && !std::exchange(it->second.waits, true)) turns_.push_back(worker_id);
    return;
  }
  Send(worker_id, options_.path,
       [this, worker_id](Known*, const HttpReply& reply) { OnReply(worker_id, reply); });
}

// Whoever is not known any more has lost his turn.
void ModelLearner::AskNext() {
  while (asking_ < options_.max_asked_at_once && !turns_.empty()) {
    const std::string next = std::move(turns_.front());
    turns_.pop_front();
    const auto it = known_.find(next);
    if (it != known_.end() && std::exchange(it->second.waits, false)) Ask(next);
  }
}

void ModelLearner::OnReply(const std::string& worker_id, const HttpReply& reply) {
  Known& known = known_[worker_id];
  const bool is_first = !std::exchange(known.was_asked, true);
  absl::StatusOr<ModelList> list =
      reply.ok() ? ReadModelList(reply.body) : absl::UnavailableError(reply.message);
  if (!list.ok()) {
    known.pause = std::clamp(2 * known.pause, options_.retry, options_.refresh);
    if (is_first && !settled_) PublishSoon();
    return AskAgain(worker_id, &known);
  }
  const bool is_new = !known.said || *known.said != *list;
  known.said = *std::move(list);
  known.pause = options_.refresh;
  if (is_new) PublishSoon();
  AskSources(worker_id);
}

void ModelLearner::AskSources(const std::string& worker_id) {
  Send(worker_id, options_.sources_path, [this, worker_id](Known* known, const HttpReply& reply) {
    OnSources(known, reply);
    AskAgain(worker_id, known);
  });
}

// Most engines do not know the question. Of one that does not answer, what it said before stays.
void ModelLearner::OnSources(Known* known, const HttpReply& reply) {
  std::vector<RankPublisher> sources;
  if (reply.ok()) {
    absl::StatusOr<std::vector<RankPublisher>> read = ReadEventSources(reply.body);
    if (!read.ok()) {
      ++refused_sources_;
      return;
    }
    sources = *std::move(read);
  } else if (reply.status < 400 || reply.status >= 500) {
    return;
  }
  if (sources == known->sources) return;
  known->sources = std::move(sources);
  PublishSoon();
}

void ModelLearner::AskAgain(const std::string& worker_id, Known* known) {
  const auto pause = absl::Uniform(random_, known->pause.count() / 2, known->pause.count() + 1);
  known->timer =
      client_->RunAfter(std::chrono::milliseconds(pause), [this, worker_id] { Ask(worker_id); });
}

void ModelLearner::PublishSoon() {
  if (publishing_) return;
  publishing_ = client_->RunAfter(kGatherAnswers, [this] {
    publishing_.reset();
    Publish();
  });
}

void ModelLearner::Publish() {
  std::vector<OwnedWorker> told;
  bool all_asked = true;
  uint64_t with_sources = 0;
  for (const OwnedWorker& worker : workers_) {
    const Known& known = known_[worker.spec.worker_id];
    if (worker.spec.model.empty() && !known.said) {
      all_asked = all_asked && known.was_asked;
      continue;
    }
    told.push_back(worker);
    if (!known.said) continue;
    if (told.back().spec.model.empty()) told.back().spec.model = known.said->model;
    if (TakeEventSources(known.sources, &told.back().spec)) ++with_sources;
    told.back().spec.served_names = known.said->served_names;
    told.back().spec.adapters = known.said->adapters;
  }
  unknown_ = workers_.size() - told.size();
  with_sources_ = with_sources;
  next_(std::move(told));
  if (all_asked) settled_ = true;
}

}  // namespace kvroute
