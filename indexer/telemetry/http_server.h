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

#include "absl/status/statusor.h"
#include "indexer/base/limits.h"

namespace kvroute {

struct HttpOptions {
  std::string listen = "127.0.0.1:9108";  // host:port, [v6]:port; port 0: any free one
  int threads = 2;                        // that put pages together, those that are not quick
  // A connection that says nothing for so long is closed.
  int idle_timeout_s = 10;
  size_t max_request_bytes = 16'384;  // request line and headers
  // At the limit a new connection takes the place of the one that has been silent for longest.
  size_t max_connections = limits::kMaxHttpConnections;
  // Of answers that clients have not read yet; beyond it the oldest is cut off.
  size_t max_unsent_bytes = limits::kMaxHttpUnsentBytes;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

struct HttpPage {
  std::function<HttpResponse()> handler;
  // Answered by the thread that has the connections, which no other page is waited for on: it must
  // take less than a few milliseconds and wait for nothing. What probes ask is quick.
  bool quick = false;
};

// A small HTTP/1.1 listener for pages that scrapers, probes and people GET: a fixed set of paths,
// no files, no bodies. Another path is 404, another method than GET and HEAD 405.
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
  static constexpr std::array<int, 5> kStatuses = {200, 404, 405, 500, 503};
  uint64_t Answered(int status) const;
  // Connections closed to make room for others, and answers cut off because nobody read them.
  uint64_t Evicted() const { return evicted_.load(std::memory_order_relaxed); }

 private:
  class Backend;  // everything of the HTTP library

  explicit HttpServer(Pages pages);
  HttpResponse Answer(std::string_view method, std::string_view path);

  const Pages pages_;
  int port_ = 0;
  std::array<std::atomic<uint64_t>, kStatuses.size()> answered_{};
  std::atomic<uint64_t> evicted_{0};
  std::unique_ptr<Backend> backend_;  // last: its threads end before the pages go
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_TELEMETRY_HTTP_SERVER_H_
