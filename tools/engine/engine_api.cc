#include "tools/engine/engine_api.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "indexer/base/clock.h"
#include "indexer/base/error.h"
#include "tools/engine/engine_pages.h"

namespace kvroute {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kMaxSlowdown = 1e6;
constexpr int kMaxDeadMs = 3'600'000;

EngineOutcome ReplyWith(int status, std::string body) {
  EngineOutcome outcome;
  outcome.reply = EngineReply{.status = status, .body = std::move(body)};
  return outcome;
}

EngineOutcome Refuse(const absl::Status& status) {
  const int http_status = HttpStatusOf(status);
  return ReplyWith(http_status, ErrorJson(http_status, status));
}

// As the web framework of both engines says it.
EngineOutcome NotFound() { return ReplyWith(404, R"({"detail":"Not Found"})"); }

int64_t UnixSeconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(Clock::Real().Wall()).count();
}

// nullptr: absent. Errors: of another type.
template <typename Check>
absl::StatusOr<const Json*> Field(const Json& object, const char* name, Check check) {
  const auto found = object.find(name);
  if (found == object.end()) return nullptr;
  if (!check(*found)) return InvalidArgument("{}: cannot be that", name);
  return &*found;
}

absl::Status ChangeFlag(const Json& object, const char* name, std::atomic<bool>* flag) {
  const auto found = Field(object, name, [](const Json& value) { return value.is_boolean(); });
  if (!found.ok()) return found.status();
  if (*found != nullptr) *flag = (*found)->get<bool>();
  return absl::OkStatus();
}

}  // namespace

struct EngineApi::Path {
  std::string_view method;
  std::string_view path;
  std::function<EngineOutcome(EngineApi*, const EngineAsk&)> handle;
};

EngineApi::EngineApi(const EngineApiOptions& options, EngineHost* host)
    : options_(options), host_(host), created_unix_s_(UnixSeconds()) {
  for (size_t i = 0; i < host->engines(); ++i) {
    states_.push_back(std::make_unique<State>());
    states_.back()->render = options.render;
  }
}

const std::vector<EngineApi::Path>& EngineApi::Paths() {
  const auto generate = [](EngineCall api) {
    return [api](EngineApi* self, const EngineAsk& ask) { return self->Generate(api, ask); };
  };
  const auto render = [](EngineCall api) {
    return [api](EngineApi* self, const EngineAsk& ask) { return self->Render(api, ask); };
  };
  static const auto* const paths = new std::vector<Path>{
      {"POST", "/v1/chat/completions", generate(EngineCall::kChat)},
      {"POST", "/v1/completions", generate(EngineCall::kCompletions)},
      {"POST", "/inference/v1/generate", generate(EngineCall::kGenerate)},
      {"POST", "/generate", generate(EngineCall::kSglangGenerate)},
      {"POST", "/v1/chat/completions/render", render(EngineCall::kChat)},
      {"POST", "/v1/completions/render", render(EngineCall::kCompletions)},
      {"POST", "/tokenize", &EngineApi::Tokenize},
      {"POST", "/v1/tokenize", &EngineApi::Tokenize},
      {"POST", "/reset_prefix_cache", &EngineApi::ClearCache},
      {"POST", "/flush_cache", &EngineApi::ClearCache},
      {"GET", "/v1/models", &EngineApi::Read},
      {"GET", "/metrics", &EngineApi::Read},
      {"GET", "/health", &EngineApi::Read},
      {"GET", "/ping", &EngineApi::Read},
      {"GET", "/version", &EngineApi::Read},
      {"GET", "/kv_event_sources", &EngineApi::Read},
  };
  return *paths;
}

EngineOutcome EngineApi::Handle(const EngineAsk& ask) {
  if (ask.path == "/simulate") return Simulate(ask);
  ++states_[ask.engine]->handled;
  if (mode(ask.engine) == EngineMode::kFail) {
    return Refuse(absl::InternalError("The engine was told to fail."));
  }
  bool known = false;
  for (const Path& path : Paths()) {
    if (path.path != ask.path) continue;
    known = true;
    if (path.method == ask.method || (path.method == "GET" && ask.method == "HEAD")) {
      return path.handle(this, ask);
    }
  }
  return known ? ReplyWith(405, R"({"detail":"Method Not Allowed"})") : NotFound();
}

EngineOutcome EngineApi::Generate(EngineCall api, const EngineAsk& ask) {
  absl::StatusOr<ApiRequest> request = ReadApiRequest(api, ask.body, options_.models);
  if (!request.ok()) return Refuse(request.status());
  std::optional<uint32_t> rank;
  if (!ask.rank.empty()) {
    uint32_t number = 0;
    const absl::string_view text(ask.rank.data(), ask.rank.size());
    if (!absl::SimpleAtoi(text, &number)) {
      return Refuse(InvalidArgument("X-data-parallel-rank: \"{}\" is no number", ask.rank));
    }
    rank = number;
  }
  EngineOutcome outcome;
  outcome.answer =
      std::make_unique<Answer>(*std::move(request), options_.answer, next_number_++, UnixSeconds());
  for (size_t i = 0; i < outcome.answer->prompts(); ++i) {
    auto submitted = host_->Submit(ask.engine, rank, outcome.answer->SpecOf(i));
    if (!submitted.ok()) {
      for (const EngineHost::Submitted& other : outcome.submitted) host_->Cancel(other);
      return Refuse(submitted.status());
    }
    outcome.submitted.push_back(*std::move(submitted));
  }
  return outcome;
}

EngineOutcome EngineApi::Render(EngineCall api, const EngineAsk& ask) {
  if (!states_[ask.engine]->render) return NotFound();
  const absl::StatusOr<ApiRequest> request = ReadApiRequest(api, ask.body, options_.models);
  if (!request.ok()) return Refuse(request.status());
  return ReplyWith(200, RenderJson(*request, next_number_++));
}

EngineOutcome EngineApi::Tokenize(const EngineAsk& ask) {
  if (!states_[ask.engine]->tokenize) return NotFound();
  const absl::StatusOr<TokenizeRequest> request = ReadTokenizeRequest(ask.body, options_.models);
  if (!request.ok()) return Refuse(request.status());
  return ReplyWith(200, TokenizeJson(*request, options_.models));
}

EngineOutcome EngineApi::Read(const EngineAsk& ask) {
  if (ask.path == "/v1/models") return ReplyWith(200, ModelsJson(options_.models, created_unix_s_));
  if (ask.path == "/kv_event_sources") return ReplyWith(200, EventSourcesJson(*host_, ask.engine));
  if (ask.path == "/version") return ReplyWith(200, R"({"version":"kvroute-engine"})");
  if (ask.path != "/metrics") {  // the two probes: nothing to read
    EngineOutcome outcome = ReplyWith(200, "");
    outcome.reply->content_type = "text/plain; charset=utf-8";
    return outcome;
  }
  if (!states_[ask.engine]->metrics) return NotFound();
  EngineOutcome outcome = ReplyWith(200, MetricsText(*host_, ask.engine, options_.models));
  outcome.reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
  return outcome;
}

EngineOutcome EngineApi::ClearCache(const EngineAsk& ask) {
  host_->ClearCache(ask.engine);
  return ReplyWith(200, "");
}

EngineOutcome EngineApi::Simulate(const EngineAsk& ask) {
  if (ask.method == "GET") return ReplyWith(200, StateJson(ask.engine));
  if (ask.method != "POST") return ReplyWith(405, R"({"detail":"Method Not Allowed"})");
  absl::StatusOr<EngineOutcome> outcome = Change(ask);
  return outcome.ok() ? *std::move(outcome) : Refuse(outcome.status());
}

absl::StatusOr<EngineOutcome> EngineApi::Change(const EngineAsk& ask) {
  const Json body = Json::parse(ask.body, nullptr, /*allow_exceptions=*/false);
  if (!body.is_object()) return InvalidArgument("body: not a JSON object");
  State& state = *states_[ask.engine];
  const auto is_text = [](const Json& value) { return value.is_string(); };
  const auto is_number = [](const Json& value) { return value.is_number(); };
  const auto mode = Field(body, "mode", is_text);
  const auto slowdown = Field(body, "slowdown", is_number);
  const auto die = Field(body, "die_for_ms", is_number);
  for (const auto* field : {&mode, &slowdown, &die}) {
    if (!field->ok()) return field->status();
  }
  std::optional<EngineMode> wanted;
  if (*mode != nullptr) {
    wanted = kEngineModeNames.Parse((*mode)->get_ref<const std::string&>());
    if (!wanted) return InvalidArgument("mode: is not one of {}", kEngineModeNames.Joined());
  }
  const double factor = *slowdown != nullptr ? (*slowdown)->get<double>() : state.slowdown.load();
  if (!(factor > 0 && factor <= kMaxSlowdown)) {
    return InvalidArgument("slowdown: not above 0 and up to {}", kMaxSlowdown);
  }
  const double dead_ms = *die != nullptr ? (*die)->get<double>() : 1;
  if (!(dead_ms >= 1 && dead_ms <= kMaxDeadMs)) {
    return InvalidArgument("die_for_ms: not from 1 to {}", kMaxDeadMs);
  }
  KVROUTE_RETURN_IF_ERROR(ChangeFlag(body, "render", &state.render));
  KVROUTE_RETURN_IF_ERROR(ChangeFlag(body, "tokenize", &state.tokenize));
  KVROUTE_RETURN_IF_ERROR(ChangeFlag(body, "metrics", &state.metrics));
  if (wanted) state.mode = *wanted;
  state.slowdown = factor;
  host_->SetSlowdown(ask.engine, factor);
  EngineOutcome outcome = ReplyWith(200, StateJson(ask.engine));
  if (*die != nullptr) outcome.die_for = std::chrono::milliseconds(static_cast<int64_t>(dead_ms));
  return outcome;
}

std::string EngineApi::StateJson(size_t engine) const {
  const State& state = *states_[engine];
  return Json{{"name", options_.names[engine]},    {"mode", kEngineModeNames[state.mode]},
              {"slowdown", state.slowdown.load()}, {"render", state.render.load()},
              {"tokenize", state.tokenize.load()}, {"metrics", state.metrics.load()},
              {"handled", state.handled.load()}}
      .dump();
}

}  // namespace kvroute
