#ifndef KVROUTE_INDEXER_TELEMETRY_HTTP_SERVER_H_
#define KVROUTE_INDEXER_TELEMETRY_HTTP_SERVER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "indexer/base/limits.h"
#include "indexer/base/memory_budget.h"
#include "indexer/base/thread_pulse.h"

namespace kvroute {

struct HttpOptions {
  std::string listen = "127.0.0.1:9108";  // host:port, [v6]:port; port 0: any free one
  int threads = 2;                        // that put pages together, those that are not quick
  // A connection that says nothing for so long is closed.
  int idle_timeout_s = 10;
  size_t max_request_bytes = 16'384;  // request line and headers
  // At the limit a new connection takes the place of another: http_connections.h says of which.
  size_t max_connections = limits::kMaxHttpConnections;
  // Of answers that clients have not read yet; beyond it the oldest is cut off.
  size_t max_unsent_bytes = limits::kMaxHttpUnsentBytes;
  MemoryBudget* memory = nullptr;  // where those are counted
  MemoryBudget* bodies = nullptr;  // where those that are POSTed are
  // Of what is POSTed: one body (413 beyond it), and all that are held at a time (503).
  size_t max_body_bytes = 0;
  size_t max_bodies_bytes = 0;
  // Of an answer 405.
  std::string wrong_method = "only GET and HEAD\n";
};

// What a page is asked. Its views are good during the call.
struct HttpCall {
  std::string_view path;
  std::string_view content_type;  // as sent; empty: none
  std::string_view body;
  std::vector<std::pair<std::string, std::string>> arguments;  // behind the path's "?"
  bool open_metrics = false;  // it accepts application/openmetrics-text

  // Of the first of that name; empty: there is none.
  std::string_view Argument(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

struct HttpPage {
  std::function<HttpResponse()> handler = {};  // of GET and HEAD
  // Instead of `handler` for who accepts OpenMetrics, where there is one.
  std::function<HttpResponse()> open_metrics = {};
  // Answered by the thread that has the connections, which no other page is waited for on: it must
  // take less than a few milliseconds and wait for nothing. What probes ask is quick.
  bool quick = false;
  // Instead of `handler`, where the answer depends on what is asked. Never quick.
  std::function<HttpResponse(const HttpCall&)> asked = {};
  std::function<HttpResponse(const HttpCall&)> posted = {};  // of POST
};

// A small HTTP/1.1 listener: a fixed set of paths that are read with GET or HEAD or called with
// POST, and no files. Another path is 404, a method that a path does not have 405.
//
// One thread has all connections and waits for none of them: clients that are idle, slow, half open
// or do not read cost a place and the memory of their answer, both bounded, and delay nobody.
//
// Thread safety: quick handlers run on that thread, the others on `threads` more, several at a
// time. Ownership: what handlers use must outlive the server; its destructor waits for those that
// run. Errors: INVALID_ARGUMENT or UNAVAILABLE naming the address (malformed, in use, not ours).
class HttpServer {
 public:
  using Pages = std::map<std::string, HttpPage, std::less<>>;

  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const HttpOptions& options, Pages pages);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const { return port_; }

  // Requests answered, by status; statuses that no page uses are counted under 500.
  static constexpr std::array<int, 13> kStatuses = {200, 201, 400, 403, 404, 405, 409,
                                                    413, 415, 422, 500, 501, 503};
  uint64_t Answered(int status) const;
  // Connections closed to make room for others, and answers cut off because nobody read them.
  uint64_t Evicted() const { return evicted_.load(std::memory_order_relaxed); }
  // Of its threads, by name, for as long as it lives.
  std::vector<std::pair<std::string, const ThreadPulse*>> Pulses() const;

 private:
  class Backend;  // everything of the HTTP library

  HttpServer(Pages pages, std::string wrong_method);
  HttpResponse Answer(std::string_view method, const HttpCall& call);
  // The same for what has an answer of its own already.
  HttpResponse Refuse(int status, std::string text);
  void Count(int status);

  const Pages pages_;
  const std::string wrong_method_;
  int port_ = 0;
  std::array<std::atomic<uint64_t>, kStatuses.size()> answered_{};
  std::atomic<uint64_t> evicted_{0};
  std::unique_ptr<Backend> backend_;  // last: its threads end before the pages go
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_TELEMETRY_HTTP_SERVER_H_
