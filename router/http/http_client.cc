#include "router/http/http_client.h"

#include <atomic>
#include <utility>

#include "indexer/base/check.h"
#include "indexer/base/mutex.h"
#include "router/http/http_loop.h"
#include "router/http/http_transfer.h"

namespace kvroute {
namespace {

std::atomic<uint64_t> next_http_id{0};  // of transfers and timers

}  // namespace

absl::StatusOr<std::unique_ptr<HttpClient>> HttpClient::Start(const HttpClientOptions& options) {
  auto loop = std::make_unique<HttpLoop>(options);
  if (absl::Status status = loop->Start(); !status.ok()) return status;
  return std::unique_ptr<HttpClient>(new HttpClient(std::move(loop)));
}

HttpClient::HttpClient(std::unique_ptr<HttpLoop> loop) : loop_(std::move(loop)) {}
HttpClient::~HttpClient() = default;

HttpTransferId HttpClient::Send(HttpRequest request, HttpOnDone on_done) {
  return Stream(std::move(request), nullptr, std::move(on_done));
}

HttpTransferId HttpClient::Stream(HttpRequest request, HttpOnData on_data, HttpOnDone on_done) {
  const HttpTransferId id(++next_http_id);
  // A std::function is copied, which a transfer is not.
  auto transfer = std::make_shared<std::unique_ptr<HttpTransfer>>(std::make_unique<HttpTransfer>(
      id, std::move(request), std::move(on_data), std::move(on_done), loop_->memory()));
  loop_->Post([loop = loop_.get(), transfer] { loop->Begin(std::move(*transfer)); });
  return id;
}

void HttpClient::Cancel(HttpTransferId transfer) {
  loop_->Post([loop = loop_.get(), transfer] {
    loop->End(transfer, HttpEnd::kCancelled, "by whoever asked");
  });
}

void HttpClient::Run(std::function<void()> work) { loop_->Post(std::move(work)); }

HttpTimerId HttpClient::RunAfter(Nanos delay, std::function<void()> work) {
  const HttpTimerId id(++next_http_id);
  const Nanos at = Clock::Real().Monotonic() + delay;
  loop_->Post([loop = loop_.get(), id, at, work = std::move(work)]() mutable {
    loop->timers().Add(id, at, std::move(work));
  });
  return id;
}

void HttpClient::CancelTimer(HttpTimerId timer) {
  loop_->Post([loop = loop_.get(), timer] { loop->timers().Cancel(timer); });
}

void HttpClient::RunAndWait(const std::function<void()>& work) {
  KVROUTE_CHECK(!loop_->IsOnThread());
  Mutex mutex;
  CondVar changed;
  bool done = false;
  // Whatever `work` cancels is posted behind it: the second round comes after that.
  loop_->Post([&] {
    work();
    loop_->Post([&] {
      MutexLock lock(&mutex);
      done = true;
      changed.NotifyAll();
    });
  });
  MutexLock lock(&mutex);
  while (!done) changed.Wait(&mutex);
}

const ThreadPulse& HttpClient::pulse() const { return loop_->pulse(); }
HttpClientStats HttpClient::Stats() const { return loop_->Stats(); }

}  // namespace kvroute
