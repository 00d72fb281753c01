#ifndef KVROUTE_ROUTER_HTTP_HTTP_LOOP_H_
#define KVROUTE_ROUTER_HTTP_HTTP_LOOP_H_

#include <curl/curl.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "indexer/base/memory_budget.h"
#include "indexer/base/mutex.h"
#include "indexer/base/named_thread.h"
#include "indexer/base/thread_pulse.h"
#include "indexer/base/wake_fd.h"
#include "router/http/http_client.h"
#include "router/http/http_names.h"
#include "router/http/http_timers.h"
#include "router/http/http_transfer.h"

namespace kvroute {

// The thread of an HttpClient: libcurl's multi interface over epoll, timers, and what other threads
// want done. It waits in epoll alone.
//
// Thread safety: Post, pulse, Stats and IsOnThread from any thread; all else on its own.
class HttpLoop {
 public:
  explicit HttpLoop(const HttpClientOptions& options);
  ~HttpLoop();  // what is open ends as kCancelled
  HttpLoop(const HttpLoop&) = delete;
  HttpLoop& operator=(const HttpLoop&) = delete;

  absl::Status Start();
  // In order.
  void Post(std::function<void()> work);
  bool IsOnThread() const { return std::this_thread::get_id() == thread_id_.load(); }

  void Begin(std::unique_ptr<HttpTransfer> transfer);
  void End(HttpTransferId id, HttpEnd end, std::string_view message);
  HttpTimers& timers() { return timers_; }
  MemoryBudget* memory() { return options_.memory != nullptr ? options_.memory : &memory_; }

  const ThreadPulse& pulse() const { return pulse_; }
  HttpClientStats Stats() const;

 private:
  void Loop();
  int TimeoutMs(Nanos now) const;
  void Wait();
  void RunPosted();
  void RunTimers();
  void EndAll();

  void OnAddresses(HttpTransferId id, const NameAnswer& answer);
  void Connect(HttpTransfer* transfer, const std::vector<std::string>& addresses);
  void Rearm(HttpTransfer* transfer);
  void CheckTime(HttpTransferId id);
  void Finish(HttpTransfer* transfer);
  void Harvest();
  void DriveCurl(curl_socket_t socket, int events);
  void WatchSocket(curl_socket_t socket, int what, bool is_new);
  static int OnSocket(CURL*, curl_socket_t socket, int what, void* self, void* is_known);
  static int OnTimer(CURLM*, long timeout_ms, void* self);

  const HttpClientOptions options_;
  const Clock* const clock_ = &Clock::Real();
  MemoryBudget memory_;
  const std::shared_ptr<WakeFd> wake_ = std::make_shared<WakeFd>();
  CURLM* multi_ = nullptr;
  int epoll_ = -1;
  Nanos curl_at_ = Nanos::max();  // when libcurl wants to be called

  HttpNames names_;
  HttpTimers timers_;
  uint64_t own_timers_ = uint64_t{1} << 63;  // ids of the loop's own timers, above all others
  absl::flat_hash_map<HttpTransferId, std::unique_ptr<HttpTransfer>> transfers_;

  Mutex mutex_;
  std::vector<std::function<void()>> posted_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;

  ThreadPulse pulse_;
  std::atomic<std::thread::id> thread_id_{};
  std::atomic<uint64_t> open_{0}, received_{0};
  std::array<std::atomic<uint64_t>, kHttpEndCount> ended_{};
  NamedThread thread_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_HTTP_HTTP_LOOP_H_
