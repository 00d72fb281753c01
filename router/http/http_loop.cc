#include "router/http/http_loop.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "indexer/base/check.h"
#include "indexer/base/error.h"

namespace kvroute {
namespace {

constexpr int kPostedRounds = 16;  // of work that posts itself again, too
constexpr int kEventsAtOnce = 256;

// Once a process, before any other use.
bool CurlIsReady() {
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return ready;
}

int CurlEventsOf(uint32_t epoll_events) {
  int events = 0;
  if (epoll_events & EPOLLIN) events |= CURL_CSELECT_IN;
  if (epoll_events & EPOLLOUT) events |= CURL_CSELECT_OUT;
  if (epoll_events & (EPOLLERR | EPOLLHUP)) events |= CURL_CSELECT_ERR | CURL_CSELECT_IN;
  return events;
}

}  // namespace

HttpLoop::HttpLoop(const HttpClientOptions& options)
    : options_(options),
      memory_(options.max_memory_bytes),
      names_(options.names, wake_, clock_,
             [this](HttpTransferId id, const NameAnswer& answer) { OnAddresses(id, answer); }) {}

absl::Status HttpLoop::Start() {
  const absl::Status none = absl::UnavailableError("http client: no descriptor or memory is left");
  if (!CurlIsReady() || wake_->fd() < 0) return none;
  multi_ = curl_multi_init();
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (multi_ == nullptr || epoll_ < 0) return none;
  epoll_event event{.events = EPOLLIN, .data = {.fd = wake_->fd()}};
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_->fd(), &event) != 0) return none;
  const auto connections = static_cast<long>(options_.max_connections);
  const auto of_host = static_cast<long>(options_.max_connections_per_host);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, connections);
  curl_multi_setopt(multi_, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
  curl_multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS, of_host);
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &OnSocket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &OnTimer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  try {
    thread_ = NamedThread("http-client", [this] { Loop(); });
  } catch (const std::system_error&) {
    return absl::UnavailableError("http client: no thread is left");
  }
  return absl::OkStatus();
}

HttpLoop::~HttpLoop() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  wake_->Wake();
  thread_.Join();
  if (multi_ != nullptr) curl_multi_cleanup(multi_);
  if (epoll_ >= 0) close(epoll_);
}

void HttpLoop::Post(std::function<void()> work) {
  {
    MutexLock lock(&mutex_);
    posted_.push_back(std::move(work));
  }
  wake_->Wake();
}

void HttpLoop::Loop() {
  // OpenSSL writes to connections that the peer has closed; a signal that is blocked ends nobody.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  thread_id_ = std::this_thread::get_id();
  while (true) {
    Wait();
    const PulseOfWork pulse(&pulse_);
    RunPosted();
    RunTimers();
    if (clock_->Monotonic() >= curl_at_) {
      curl_at_ = Nanos::max();
      DriveCurl(CURL_SOCKET_TIMEOUT, 0);
    }
    Harvest();
    MutexLock lock(&mutex_);
    if (ending_) break;
  }
  EndAll();
}

int HttpLoop::TimeoutMs(Nanos now) const {
  const Nanos at = std::min(curl_at_, timers_.Next().value_or(Nanos::max()));
  if (at == Nanos::max()) return -1;
  if (at <= now) return 0;
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(at - now).count();
  return static_cast<int>(std::min<int64_t>(ms, 60'000));
}

// For events, and gives those of connections to libcurl.
void HttpLoop::Wait() {
  std::array<epoll_event, kEventsAtOnce> events;
  const int count =
      epoll_wait(epoll_, events.data(), kEventsAtOnce, TimeoutMs(clock_->Monotonic()));
  const PulseOfWork pulse(&pulse_);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    if (event.data.fd == wake_->fd()) {
      wake_->Woken();
      names_.Poll();
    } else {
      DriveCurl(event.data.fd, CurlEventsOf(event.events));
    }
  }
}

// What posted work posts in its turn comes before any timer and any reply: a cancel, and whoever
// waits for that.
void HttpLoop::RunPosted() {
  for (int round = 0; round < kPostedRounds; ++round) {
    std::vector<std::function<void()>> posted;
    {
      MutexLock lock(&mutex_);
      posted.swap(posted_);
    }
    if (posted.empty()) return;
    for (const std::function<void()>& work : posted) work();
  }
}

void HttpLoop::RunTimers() {
  const Nanos now = clock_->Monotonic();
  while (const std::function<void()> work = timers_.TakeDue(now)) {
    work();
    pulse_.Step();
  }
}

// What was posted before the end ends like what was open; so does what ends make of it.
void HttpLoop::EndAll() {
  while (true) {
    RunPosted();
    if (transfers_.empty()) {
      MutexLock lock(&mutex_);
      if (posted_.empty()) return;
      continue;
    }
    End(transfers_.begin()->first, HttpEnd::kCancelled, "the client ends");
  }
}

void HttpLoop::Begin(std::unique_ptr<HttpTransfer> owned) {
  HttpTransfer* const transfer = owned.get();
  const bool full = transfers_.size() >= options_.max_transfers;
  transfers_.emplace(transfer->id(), std::move(owned));
  open_.store(transfers_.size(), std::memory_order_relaxed);
  const Nanos now = clock_->Monotonic();
  if (full) transfer->EndAs(HttpEnd::kBusy, "as many transfers are open as may be");
  if (full || !transfer->Prepare(now)) return Finish(transfer);
  const NameAnswer* known = nullptr;
  if (!transfer->host().empty()) {
    known = names_.Find(transfer->host(), transfer->id());
    transfer->is_naming = known == nullptr;
  }
  Rearm(transfer);
  if (transfer->is_naming) return;
  Connect(transfer, known == nullptr ? std::vector<std::string>() : known->addresses);
}

void HttpLoop::OnAddresses(HttpTransferId id, const NameAnswer& answer) {
  const auto it = transfers_.find(id);
  if (it == transfers_.end()) return;
  HttpTransfer* const transfer = it->second.get();
  transfer->is_naming = false;
  if (!answer.addresses.empty()) return Connect(transfer, answer.addresses);
  transfer->EndAs(HttpEnd::kName,
                  fmt::format("{}: {}", transfer->host(), ConnectTroubleName(answer.trouble)));
  Finish(transfer);
}

void HttpLoop::Connect(HttpTransfer* transfer, const std::vector<std::string>& addresses) {
  if (!transfer->Connect(addresses, clock_->Monotonic())) return Finish(transfer);
  transfer->is_running = curl_multi_add_handle(multi_, transfer->handle()) == CURLM_OK;
  if (transfer->is_running) return;
  transfer->EndAs(HttpEnd::kBusy, "no memory");
  Finish(transfer);
}

void HttpLoop::Rearm(HttpTransfer* transfer) {
  const Nanos at = transfer->NextCheck();
  if (at == Nanos::max()) return;
  transfer->timer = HttpTimerId(++own_timers_);
  timers_.Add(transfer->timer, at, [this, id = transfer->id()] { CheckTime(id); });
}

void HttpLoop::CheckTime(HttpTransferId id) {
  HttpTransfer* const transfer = transfers_.at(id).get();
  if (!transfer->EndIfLate(clock_->Monotonic())) return Rearm(transfer);
  Finish(transfer);
}

void HttpLoop::End(HttpTransferId id, HttpEnd end, std::string_view message) {
  const auto it = transfers_.find(id);
  if (it == transfers_.end()) return;
  it->second->EndAs(end, message);
  Finish(it->second.get());
}

// Never within a callback of libcurl, which must not be asked for anything there.
void HttpLoop::Finish(HttpTransfer* transfer) {
  if (transfer->is_running) curl_multi_remove_handle(multi_, transfer->handle());
  if (transfer->is_naming) names_.Forget(transfer->host(), transfer->id());
  timers_.Cancel(transfer->timer);
  const auto it = transfers_.find(transfer->id());
  const std::unique_ptr<HttpTransfer> owned = std::move(it->second);
  transfers_.erase(it);
  open_.store(transfers_.size(), std::memory_order_relaxed);
  received_.fetch_add(owned->received_bytes(), std::memory_order_relaxed);
  ended_[static_cast<size_t>(owned->reply().end)].fetch_add(1, std::memory_order_relaxed);
  owned->Finish(clock_->Monotonic());
  pulse_.Step();
}

void HttpLoop::Harvest() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    HttpTransfer* transfer = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    transfer->EndAs(message->data.result);
    Finish(transfer);
  }
}

void HttpLoop::DriveCurl(curl_socket_t socket, int events) {
  int running = 0;
  curl_multi_socket_action(multi_, socket, events, &running);
  pulse_.Step();
}

int HttpLoop::OnSocket(CURL*, curl_socket_t socket, int what, void* self, void* is_known) {
  auto* const loop = static_cast<HttpLoop*>(self);
  loop->WatchSocket(socket, what, is_known == nullptr);
  // Any pointer: libcurl gives it back for this socket.
  if (what != CURL_POLL_REMOVE) curl_multi_assign(loop->multi_, socket, loop);
  return 0;
}

// A descriptor that is closed leaves epoll by itself, and its number may be another's already.
void HttpLoop::WatchSocket(curl_socket_t socket, int what, bool is_new) {
  epoll_event event{};
  event.data.fd = socket;
  if (what & CURL_POLL_IN) event.events |= EPOLLIN;
  if (what & CURL_POLL_OUT) event.events |= EPOLLOUT;
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, socket, &event);
  } else if (epoll_ctl(epoll_, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, &event) != 0) {
    epoll_ctl(epoll_, is_new ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event);
  }
}

int HttpLoop::OnTimer(CURLM*, long timeout_ms, void* self) {
  auto* const loop = static_cast<HttpLoop*>(self);
  loop->curl_at_ = timeout_ms < 0
                       ? Nanos::max()
                       : loop->clock_->Monotonic() + std::chrono::milliseconds(timeout_ms);
  return 0;
}

HttpClientStats HttpLoop::Stats() const {
  HttpClientStats stats;
  stats.open = open_.load(std::memory_order_relaxed);
  stats.received_bytes = received_.load(std::memory_order_relaxed);
  for (size_t i = 0; i < kHttpEndCount; ++i) {
    stats.ended[i] = ended_[i].load(std::memory_order_relaxed);
  }
  return stats;
}

}  // namespace kvroute
