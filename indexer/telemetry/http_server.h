#ifndef KVROUTE_INDEXER_TELEMETRY_HTTP_SERVER_H_
#define KVROUTE_INDEXER_TELEMETRY_HTTP_SERVER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace kvroute {

struct HttpOptions {
  std::string listen = "127.0.0.1:9108";  // host:port, [v6]:port; port 0: any free one
  int threads = 2;
  int request_timeout_ms = 10'000;  // to receive a request, and an idle connection's life
  int max_request_bytes = 16'384;   // request line and headers
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// A small HTTP/1.1 listener for pages that scrapers, probes and people GET: a fixed set of paths,
// no files, no bodies. Another path is 404, another method 405.
//
// Thread safety: handlers run on the server's threads, several at a time. Ownership: what handlers
// use must outlive the server; its destructor waits for those that run. Errors: INVALID_ARGUMENT or
// UNAVAILABLE naming the address (malformed, in use, not ours).
class HttpServer {
 public:
  using Handler = std::function<HttpResponse()>;
  using Pages = std::map<std::string, Handler, std::less<>>;

  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const HttpOptions& options, Pages pages);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const { return port_; }

  // Requests answered, by status; statuses that no page uses are counted under 500.
  static constexpr std::array<int, 5> kStatuses = {200, 404, 405, 500, 503};
  uint64_t Answered(int status) const;

 private:
  class Backend;  // everything of the HTTP library

  explicit HttpServer(Pages pages);
  HttpResponse Answer(std::string_view method, std::string_view path);

  const Pages pages_;
  int port_ = 0;
  std::array<std::atomic<uint64_t>, kStatuses.size()> answered_{};
  std::unique_ptr<Backend> backend_;  // last: its threads end before the pages go
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_TELEMETRY_HTTP_SERVER_H_
