#include "router/edge/http_json/http_json_server.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "router/edge/http_json/dialect.h"
#include "router/rights/http_rights.h"

namespace kvroute {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kJsonType = "application/json";
constexpr std::string_view kMsgpackType = "application/msgpack";

bool IsType(std::string_view content_type, std::string_view type) {
  return content_type.starts_with(type) &&
         (content_type.size() == type.size() || content_type[type.size()] == ';');
}

HttpResponse Write(const DialectReply& reply, BodyFormat format) {
  HttpResponse response;
  response.status = reply.status;
  if (!reply.json.has_value()) {
    response.body = reply.text;
  } else if (format == BodyFormat::kMsgpack) {
    Json::to_msgpack(*reply.json, response.body);
    response.content_type = kMsgpackType;
  } else {
    response.body = reply.json->dump() + "\n";
    response.content_type = kJsonType;
  }
  return response;
}

HttpResponse Write(const DialectReply& reply) { return Write(reply, BodyFormat::kJson); }

DialectReply StatusReply(int status) { return {.status = status, .json = Json{{"status", "ok"}}}; }

DialectReply Forbidden() {
  return {.status = 403,
          .json = Json{{"error",
                        "http_json.allow_registration is false: instances are registered "
                        "in another way"}}};
}

// While a body is answered. A long one waits until no other is.
class OneLongBody {
 public:
  OneLongBody(size_t bytes, Mutex* one, MemoryBudget* memory)
      : one_(bytes > kLongBytes ? one : nullptr),
        memory_(memory),
        bytes_(static_cast<int64_t>(HttpJsonServer::MemoryOf(bytes))) {
    if (one_ != nullptr) lock_.emplace(one_);
    if (memory_ != nullptr) memory_->Charge(bytes_);
  }
  ~OneLongBody() {
    if (memory_ != nullptr) memory_->Charge(-bytes_);
  }
  OneLongBody(const OneLongBody&) = delete;
  OneLongBody& operator=(const OneLongBody&) = delete;

 private:
  static constexpr size_t kLongBytes = 65'536;
  Mutex* const one_;
  MemoryBudget* const memory_;
  const int64_t bytes_;
  std::optional<MutexLock> lock_;
};

// What the API would call it.
Action ActionOf(std::string_view path) {
  if (path == "/register" || path == "/register_peer") return Action::kRegister;
  if (path == "/unregister" || path == "/deregister_peer") return Action::kDeregister;
  if (path == "/query" || path == "/query_by_hash") return Action::kScore;
  if (path == "/workers" || path == "/services" || path == "/peers") return Action::kList;
  if (path == "/dump") return Action::kList;
  if (path == "/health") return Action::kProbe;
  return Action::kUnnamed;
}

DialectReply NoPeers() {
  return {.status = 501,
          .json = Json{{"error", "kvroute takes no state from peers: it asks the engines"}}};
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpJsonServer>> HttpJsonServer::Start(
    const HttpJsonOptions& options, Fleet* fleet, Router* router) {
  std::unique_ptr<HttpJsonServer> server(new HttpJsonServer(options, fleet, router));
  auto http = HttpServer::Start({.listen = options.listen,
                                 .threads = options.threads,
                                 .max_connections = options.max_connections,
                                 .max_unsent_bytes = options.max_unsent_bytes,
                                 .memory = options.pages,
                                 .bodies = options.bodies,
                                 .max_body_bytes = options.body_limit_bytes,
                                 .max_bodies_bytes = options.bodies_limit_bytes,
                                 .tls = options.tls,
                                 .wrong_method = "Method not allowed"},
                                server->Pages());
  if (!http.ok()) return http.status();
  server->http_ = *std::move(http);
  return server;
}

HttpServer::Pages HttpJsonServer::Pages() {
  HttpServer::Pages pages;
  const auto post = [&pages](const char* path, auto answer) { pages[path].posted = answer; };
  post("/register", [this](const HttpCall& call) {
    return Answer(
        call, [this](const Fields& fields) { return DynamoRegister(fields); },
        [this](const Fields& fields) { return MooncakeRegister(fields); });
  });
  post("/unregister", [this](const HttpCall& call) {
    return Answer(
        call, [this](const Fields& fields) { return DynamoUnregister(fields); },
        [this](const Fields& fields) { return MooncakeUnregister(fields); });
  });
  post("/query", [this](const HttpCall& call) {
    return Answer(
        call, [this](const Fields& fields) { return DynamoQuery(fields, /*by_hash=*/false); },
        [this](const Fields& fields) { return MooncakeQuery(fields); });
  });
  post("/query_by_hash", [this](const HttpCall& call) {
    return Answer(
        call, [this](const Fields& fields) { return DynamoQuery(fields, /*by_hash=*/true); },
        [](const Fields&) {
          return mooncake::RefusalReply(
              {.reason = FieldRefusal::Reason::kUnsupported,
               .field = "seq_hashes",
               .index = std::nullopt,
               .message = "seq_hashes: how an instance chains its hashes is not known here; ask "
                          "with token_ids"});
        });
  });
  post("/register_peer", [](const HttpCall&) { return Write(NoPeers()); });
  post("/deregister_peer", [](const HttpCall&) {
    return Write({.status = 404, .json = Json{{"error", "peer not found"}}});
  });
  post("/reopen_logs", [](const HttpCall&) { return Write(StatusReply(200)); });
  pages["/peers"].handler = [] { return Write({.json = Json::array()}); };
  pages["/health"] = {.handler = [] { return HttpResponse(); }, .quick = true};
  pages["/workers"].asked = [this](const HttpCall& call) {
    return Write(dynamo::WorkersReply(*fleet_->Snapshot(), call.Argument("model_name"),
                                      call.Argument("routing_group")));
  };
  pages["/dump"].handler = [this] { return Write(dynamo::DumpReply(*fleet_->Snapshot())); };
  pages["/services"].handler = [this] {
    return Write(mooncake::ServicesReply(*fleet_->Snapshot()));
  };
  for (auto& [path, page] : pages) {
    page.refused = RefusalOf(options_.rights, ActionOf(path));
  }
  return pages;
}

template <typename AnswerDynamo, typename AnswerMooncake>
HttpResponse HttpJsonServer::Answer(const HttpCall& call, AnswerDynamo answer_dynamo,
                                    AnswerMooncake answer_mooncake) {
  const bool msgpack = IsType(call.content_type, kMsgpackType);
  const BodyFormat format = msgpack ? BodyFormat::kMsgpack : BodyFormat::kJson;
  const OneLongBody turn(call.body.size(), &long_body_, options_.bodies);
  Fields fields;
  const Fields::Result result = fields.Read(call.body, format);
  if (result == Fields::Result::kBroken) return Write(mooncake::RefusalReply(FieldRefusal()));
  const bool is_dynamo = !msgpack && dynamo::Speaks(fields);
  if (result == Fields::Result::kNoObject) {
    return Write({.status = 400, .text = "the body is no object"});
  }
  if (!is_dynamo) return Write(answer_mooncake(fields), format);
  if (IsType(call.content_type, kJsonType)) return Write(answer_dynamo(fields), format);
  return Write({.status = 415, .text = "Expected request with `Content-Type: application/json`"});
}

DialectReply HttpJsonServer::DynamoRegister(const Fields& fields) {
  if (!options_.allow_registration) return Forbidden();
  Registration registration;
  const auto refusal = dynamo::ReadRegistration(fields, &registration);
  if (refusal) return dynamo::RefusalReply(*refusal);
  const absl::Status status = instances_.Register(registration, /*one_place=*/true);
  return status.ok() ? StatusReply(201) : dynamo::ErrorReply(status);
}

DialectReply HttpJsonServer::DynamoUnregister(const Fields& fields) {
  if (!options_.allow_registration) return Forbidden();
  Removal removal;
  const auto refusal = dynamo::ReadRemoval(fields, &removal);
  if (refusal) return dynamo::RefusalReply(*refusal);
  const auto removed = instances_.Unregister(removal);
  return removed.ok() ? StatusReply(200) : dynamo::ErrorReply(removed.status());
}

DialectReply HttpJsonServer::DynamoQuery(const Fields& fields, bool by_hash) {
  ScoreAsk ask;
  const auto refusal =
      by_hash ? dynamo::ReadHashQuery(fields, &ask) : dynamo::ReadQuery(fields, &ask);
  if (refusal) return dynamo::RefusalReply(*refusal);
  const auto scores = ScoreInstances(ask, *fleet_, router_);
  return scores.ok() ? dynamo::ScoresReply(*scores) : dynamo::ErrorReply(scores.status());
}

DialectReply HttpJsonServer::MooncakeRegister(const Fields& fields) {
  if (!options_.allow_registration) return Forbidden();
  Registration registration;
  const auto refusal = mooncake::ReadRegistration(fields, &registration);
  if (refusal) return mooncake::RefusalReply(*refusal);
  const absl::Status status = instances_.Register(registration, /*one_place=*/false);
  return status.ok() ? mooncake::RegisteredReply(registration) : mooncake::ErrorReply(status);
}

DialectReply HttpJsonServer::MooncakeUnregister(const Fields& fields) {
  if (!options_.allow_registration) return Forbidden();
  Removal removal;
  const auto refusal = mooncake::ReadRemoval(fields, &removal);
  if (refusal) return mooncake::RefusalReply(*refusal);
  const auto removed = instances_.Unregister(removal);
  return removed.ok() ? mooncake::RemovedReply(*removed) : mooncake::ErrorReply(removed.status());
}

DialectReply HttpJsonServer::MooncakeQuery(const Fields& fields) {
  ScoreAsk ask;
  const auto refusal = mooncake::ReadQuery(fields, &ask);
  if (refusal) return mooncake::RefusalReply(*refusal);
  const auto scores = ScoreInstances(ask, *fleet_, router_);
  if (scores.ok()) return mooncake::ScoresReply(*scores, options_.mooncake_reply, ask.group);
  // Nobody serves the model: nobody holds anything, which is what a proxy acts upon.
  if (scores.status().code() == absl::StatusCode::kNotFound) {
    return mooncake::ScoresReply({}, options_.mooncake_reply, ask.group);
  }
  return mooncake::ErrorReply(scores.status());
}

}  // namespace kvroute
