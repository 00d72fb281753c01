#ifndef KVROUTE_ROUTER_EDGE_HTTP_JSON_HTTP_JSON_SERVER_H_
#define KVROUTE_ROUTER_EDGE_HTTP_JSON_HTTP_JSON_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "indexer/base/limits.h"
#include "indexer/base/memory_budget.h"
#include "indexer/base/mutex.h"
#include "indexer/telemetry/http_server.h"
#include "router/edge/http_json/instances.h"
#include "router/edge/http_json/mooncake_reply.h"
#include "router/fleet/fleet.h"
#include "router/route/router.h"

namespace kvroute {

class Fields;
class Rights;
struct DialectReply;

struct HttpJsonOptions {
  std::string listen = "";                        // host:port; port 0: any free one
  int threads = 2;                                // that read bodies and hash prompts
  size_t body_limit_bytes = size_t{8} << 20;      // of one; Dynamo's own limit
  size_t bodies_limit_bytes = size_t{256} << 20;  // of all that are held at a time
  size_t max_connections = limits::kMaxHttpConnections;
  size_t max_unsent_bytes = limits::kMaxHttpUnsentBytes;  // of answers that nobody reads
  MemoryBudget* bodies = nullptr;                         // where bodies are counted
  MemoryBudget* pages = nullptr;                          // where answers are
  bool allow_registration = true;  // false: /register and /unregister are 403
  Rights* rights = nullptr;        // nullptr: everybody may everything
  HttpServerTlsOptions tls = {};   // fetch empty: plain text
  MooncakeReply mooncake_reply = MooncakeReply::kInstances;
};

// What clients of two other indexers ask, answered as these do: Dynamo's standalone indexer and
// Mooncake's Conductor, on one port. A POST is Dynamo's when it has a field that only its clients
// send (model_name, block_hashes, a number as instance_id), else Mooncake's. docs/http-json.md.
//
// Thread safety: every method from any thread. Bodies are read and prompts hashed on threads of its
// own, several at a time. Ownership: the fleet and the router must outlive it. Errors: those of
// HttpServer.
class HttpJsonServer {
 public:
  static absl::StatusOr<std::unique_ptr<HttpJsonServer>> Start(const HttpJsonOptions& options,
                                                               Fleet* fleet, Router* router);

  // What a body takes while it is answered, beside its own bytes: a token is a byte at least, eight
  // as it is read, and four as it is hashed. Long ones are answered one at a time.
  static uint64_t MemoryOf(uint64_t body_bytes) { return 12 * body_bytes; }
  // The longest body that may be answered within so much, while another waits beside it.
  static uint64_t LongestWithin(uint64_t memory) { return memory / 14; }

  int port() const { return http_->port(); }
  const HttpServer& http() const { return *http_; }

 private:
  HttpJsonServer(const HttpJsonOptions& options, Fleet* fleet, Router* router)
      : options_(options), fleet_(fleet), router_(router), instances_(fleet) {}

  HttpServer::Pages Pages();
  // Reads the body, lets one of the two answer it, and writes the reply in the body's format.
  template <typename AnswerDynamo, typename AnswerMooncake>
  HttpResponse Answer(const HttpCall& call, AnswerDynamo dynamo, AnswerMooncake mooncake);

  DialectReply DynamoRegister(const Fields& fields);
  DialectReply DynamoUnregister(const Fields& fields);
  DialectReply DynamoQuery(const Fields& fields, bool by_hash);
  DialectReply MooncakeRegister(const Fields& fields);
  DialectReply MooncakeUnregister(const Fields& fields);
  DialectReply MooncakeQuery(const Fields& fields);

  const HttpJsonOptions options_;
  Fleet* const fleet_;
  Router* const router_;
  Instances instances_;
  Mutex long_body_;                   // is being answered
  std::unique_ptr<HttpServer> http_;  // last: its threads end first
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_HTTP_JSON_HTTP_JSON_SERVER_H_
