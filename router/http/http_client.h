#ifndef KVROUTE_ROUTER_HTTP_HTTP_CLIENT_H_
#define KVROUTE_ROUTER_HTTP_HTTP_CLIENT_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "indexer/base/clock.h"
#include "indexer/base/memory_budget.h"
#include "indexer/base/name_service.h"
#include "indexer/base/strong_int.h"
#include "indexer/base/thread_pulse.h"
#include "router/http/http_request.h"

namespace kvroute {

class HttpLoop;

struct HttpTransferTag;
using HttpTransferId = StrongInt<HttpTransferTag, uint64_t>;
struct HttpTimerTag;
using HttpTimerId = StrongInt<HttpTimerTag, uint64_t>;

struct HttpClientOptions {
  size_t max_transfers = limits::kMaxHttpTransfers;
  size_t max_connections = limits::kMaxHttpClientConnections;  // further transfers wait
  size_t max_connections_per_host = limits::kMaxHttpConnectionsPerHost;
  size_t max_memory_bytes = limits::kMaxHttpRepliesBytes;  // of bodies that are not whole yet
  MemoryBudget* memory = nullptr;  // whose limit is used instead; outlives the client
  std::shared_ptr<NameService> names = NameService::System();
};

struct HttpClientStats {
  uint64_t open = 0;  // transfers that have not ended
  uint64_t received_bytes = 0;
  std::array<uint64_t, kHttpEndCount> ended = {};  // by how
};

// Asks other processes over HTTP/1.1, any number at a time, from one thread of its own: keep-alive,
// TLS, names, unix sockets; replies as a whole or as they come. It follows no redirects, uses no
// proxy of the environment, and is stopped by no name server: names are asked for on threads that
// nobody waits for (docs/decisions/0020).
//
// Thread safety: every method from any thread, callbacks included. Ownership: callbacks are dropped
// once they cannot run any more; whoever they touch ends its transfers and timers with RunAndWait
// before it goes. The destructor ends what is open as kCancelled. Errors: each transfer ends by
// exactly one call of its `on_done`, with what went wrong; nothing else is reported.
class HttpClient {
 public:
  // Errors: UNAVAILABLE: no descriptor or no thread is left.
  static absl::StatusOr<std::unique_ptr<HttpClient>> Start(const HttpClientOptions& options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  HttpTransferId Send(HttpRequest request, HttpOnDone on_done);
  // The reply's body goes to `on_data`, piece by piece, if its status is 200 to 299.
  HttpTransferId Stream(HttpRequest request, HttpOnData on_data, HttpOnDone on_done);
  // Soon; unless it has ended, it ends as kCancelled.
  void Cancel(HttpTransferId transfer);

  // Runs `work` on the client's thread, soon, or after a while. What it does must not block.
  void Run(std::function<void()> work);
  HttpTimerId RunAfter(Nanos delay, std::function<void()> work);
  void CancelTimer(HttpTimerId timer);  // soon
  // The same, and returns when it is done; not for the client's own thread. When it returns,
  // nothing runs any more that was cancelled in `work` or before.
  void RunAndWait(const std::function<void()>& work);

  const ThreadPulse& pulse() const;  // its thread's
  HttpClientStats Stats() const;

 private:
  explicit HttpClient(std::unique_ptr<HttpLoop> loop);

  const std::unique_ptr<HttpLoop> loop_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_HTTP_HTTP_CLIENT_H_
