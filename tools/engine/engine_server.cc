#include "tools/engine/engine_server.h"

#include <microhttpd.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "indexer/base/error.h"
#include "indexer/base/log.h"
#include "tools/engine/engine_sockets.h"
#include "tools/engine/waiting_set.h"

namespace kvroute {
namespace {

constexpr size_t kRequestHeadBytes = 65'536;  // request line and headers
constexpr size_t kStreamBlockBytes = 32'768;
// Whether the clients of those who wait are still there is looked up so seldom.
constexpr uint64_t kTicksALook = 5;
// So that the reply to who asked for it can leave before an engine dies.
constexpr std::chrono::milliseconds kLastWords(50);
constexpr const char* kDestination = "x-gateway-destination-endpoint";

using Progress = Generation::Progress;

std::string_view HeaderOf(MHD_Connection* connection, const char* name) {
  const char* const value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

bool AnyFailed(const std::vector<Progress>& progress) {
  return std::any_of(progress.begin(), progress.end(), [](const auto& it) { return it.failed; });
}

bool AllFinished(const std::vector<Progress>& progress) {
  return std::all_of(progress.begin(), progress.end(), [](const auto& it) { return it.finished; });
}

void Silence(void*, const char*, va_list) {}

}  // namespace

class EngineServer::Backend {
 public:
  Backend(const EngineServerOptions& options, const EngineApiOptions& api, EngineHost* host)
      : options_(options), host_(host), api_(api, host) {}

  ~Backend() {
    sockets_.Stop();
    host_->Stop();  // whatever is being generated fails, and who waits for it goes on
    ending_ = true;
    for (Exchange* exchange : waiting_.Close()) MHD_resume_connection(exchange->connection);
    if (daemon_ != nullptr) MHD_stop_daemon(daemon_);
  }

  absl::Status Start() {
    for (const std::string& address : options_.listen) {
      KVROUTE_RETURN_IF_ERROR(sockets_.Listen(address));
    }
    {
      MutexLock lock(&mutex_);
      deaths_.resize(options_.listen.size());
    }
    daemon_ = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET |
            MHD_USE_ITC,
        0, nullptr, nullptr, &Backend::OnRequest, this, MHD_OPTION_CONNECTION_LIMIT,
        static_cast<unsigned>(options_.max_connections), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        kRequestHeadBytes, MHD_OPTION_THREAD_POOL_SIZE, static_cast<unsigned>(options_.threads),
        MHD_OPTION_NOTIFY_CONNECTION, &Backend::OnConnection, this, MHD_OPTION_NOTIFY_COMPLETED,
        &Backend::OnCompleted, this, MHD_OPTION_EXTERNAL_LOGGER, &Silence, nullptr, MHD_OPTION_END);
    if (daemon_ == nullptr) return absl::UnavailableError("cannot start the HTTP threads");
    return sockets_.Start(
        [this](int fd, const sockaddr* address, socklen_t size) {
          if (MHD_add_connection(daemon_, fd, address, size) != MHD_YES) sockets_.Ended(fd);
        },
        [this] { Tick(); });
  }

  const EngineSockets& sockets() const { return sockets_; }
  size_t waiting() const { return waiting_.size(); }

 private:
  // One request, from its headers to the end of its answer. Of the HTTP library's thread that has
  // its connection, but for `gone`.
  struct Exchange {
    Backend* backend = nullptr;
    MHD_Connection* connection = nullptr;
    int fd = -1;
    size_t engine = 0;
    std::string body = "";
    bool too_long = false;
    bool handled = false;
    EngineOutcome outcome = {};
    std::string events = "";  // of the stream, not sent yet
    size_t sent = 0;          // of them
    bool is_cut = false;      // the connection ends after what is in `events`
    std::atomic<bool> gone{false};
  };
  struct Death {
    Nanos at = Nanos::max();
    Nanos back_at = Nanos::max();
  };

  static void OnConnection(void* self, MHD_Connection* connection, void**,
                           MHD_ConnectionNotificationCode code) {
    if (code != MHD_CONNECTION_NOTIFY_CLOSED) return;
    static_cast<Backend*>(self)->sockets_.Ended(FdOf(connection));
  }

  static int FdOf(MHD_Connection* connection) {
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
  }

  // Called with the headers, then for each piece of the body, then when the request is complete,
  // and again whenever a sleep has ended before there was a response.
  static MHD_Result OnRequest(void* self, MHD_Connection* connection, const char* path,
                              const char* method, const char*, const char* piece,
                              size_t* piece_bytes, void** state) {
    auto* const backend = static_cast<Backend*>(self);
    auto* exchange = static_cast<Exchange*>(*state);
    if (exchange == nullptr) {
      exchange = new Exchange{.backend = backend, .connection = connection, .fd = FdOf(connection)};
      exchange->engine = backend->sockets_.EngineOf(exchange->fd);
      *state = exchange;
      return MHD_YES;
    }
    if (*piece_bytes != 0) {
      backend->TakePiece(exchange, {piece, *piece_bytes});
      *piece_bytes = 0;
      return MHD_YES;
    }
    return backend->Answer(exchange, method, path);
  }

  static void OnCompleted(void* self, MHD_Connection*, void** state, MHD_RequestTerminationCode) {
    auto* const exchange = static_cast<Exchange*>(std::exchange(*state, nullptr));
    if (exchange == nullptr) return;
    auto* const backend = static_cast<Backend*>(self);
    for (const EngineHost::Submitted& one : exchange->outcome.submitted) {
      if (!one.generation->Read().finished) backend->host_->Cancel(one);
    }
    delete exchange;
  }

  void TakePiece(Exchange* exchange, std::string_view piece) const {
    if (exchange->body.size() + piece.size() > options_.max_body_bytes) exchange->too_long = true;
    if (!exchange->too_long) exchange->body.append(piece);
  }

  MHD_Result Answer(Exchange* exchange, const char* method, const char* path) {
    if (exchange->gone || ending_) return MHD_NO;
    const bool controls = std::string_view(path) == "/simulate";
    const EngineMode mode = controls ? EngineMode::kOk : ModeOf(exchange);
    if (mode == EngineMode::kHang && !exchange->handled) {
      if (!Sleep(exchange)) return MHD_NO;
      // Who changes the mode wakes all that sleep afterwards: one of the two sees the other.
      if (ModeOf(exchange) != EngineMode::kHang) Wake(exchange);
      return MHD_YES;
    }
    if (!std::exchange(exchange->handled, true)) Handle(exchange, method, path, mode);
    EngineOutcome& outcome = exchange->outcome;
    if (outcome.reply.has_value()) {
      return exchange->is_cut ? MHD_NO : Send(exchange, outcome.reply->status, *outcome.reply);
    }
    return outcome.answer->request().stream ? Stream(exchange) : Whole(exchange);
  }

  // The engine's, or what this one request asks for.
  EngineMode ModeOf(const Exchange* exchange) const {
    const auto asked = kEngineModeNames.Parse(HeaderOf(exchange->connection, "x-simulate"));
    return asked.value_or(api_.mode(exchange->engine));
  }

  void Handle(Exchange* exchange, const char* method, const char* path, EngineMode mode) {
    exchange->is_cut = mode == EngineMode::kCut;
    if (exchange->too_long) {
      exchange->outcome.reply = EngineReply{.status = 413, .body = R"({"detail":"Too long"})"};
    } else if (mode == EngineMode::kFail) {
      exchange->outcome.reply =
          EngineReply{.status = 500,
                      .body = R"({"error":{"message":"The engine was told to fail.",)"
                              R"("type":"InternalServerError","param":null,"code":500}})"};
    } else {
      exchange->outcome =
          api_.Handle({.engine = exchange->engine,
                       .method = method,
                       .path = path,
                       .body = exchange->body,
                       .rank = HeaderOf(exchange->connection, "x-data-parallel-rank")});
    }
    exchange->body = {};
    if (std::string_view(path) == "/simulate") {  // all that wait look whether they still must
      for (Exchange* other : waiting_.TakeAll()) MHD_resume_connection(other->connection);
    }
    if (exchange->outcome.die_for) Doom(exchange->engine, *exchange->outcome.die_for);
  }

  static std::vector<Progress> ProgressOf(const Exchange& exchange) {
    std::vector<Progress> progress;
    for (const EngineHost::Submitted& one : exchange.outcome.submitted) {
      progress.push_back(one.generation->Read());
    }
    return progress;
  }

  bool Sleep(Exchange* exchange) {
    return waiting_.Add(exchange, exchange->fd,
                        [exchange] { MHD_suspend_connection(exchange->connection); });
  }
  void Wake(Exchange* exchange) {
    if (waiting_.Take(exchange)) MHD_resume_connection(exchange->connection);
  }

  // Until one that has not ended has more than `seen` tokens. False: there is none, or it has.
  template <typename Seen>
  bool SleepUntilMore(Exchange* exchange, Seen seen) {
    for (size_t i = 0; i < exchange->outcome.submitted.size(); ++i) {
      Generation& generation = *exchange->outcome.submitted[i].generation;
      const Progress progress = generation.Read();
      if (progress.failed) return false;
      if (progress.finished) continue;
      return generation.AwaitMoreThan(
          seen(i), [this, exchange] { Sleep(exchange); }, [this, exchange] { Wake(exchange); });
    }
    return false;
  }

  MHD_Result Whole(Exchange* exchange) {
    std::vector<Progress> progress;
    do {  // one after the other; one that ends between two looks is no sleep
      if (SleepUntilMore(exchange, [](size_t) { return UINT32_MAX; })) return MHD_YES;
      progress = ProgressOf(*exchange);
      if (AnyFailed(progress) || exchange->is_cut) return MHD_NO;  // it died, and so do we
    } while (!AllFinished(progress));
    return Send(exchange, 200, {.body = exchange->outcome.answer->Whole(progress)});
  }

  MHD_Result Stream(Exchange* exchange) {
    MHD_Response* const response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, kStreamBlockBytes, &Backend::ReadStream, exchange, nullptr);
    if (response == nullptr) return MHD_NO;
    return Queue(exchange, 200, "text/event-stream; charset=utf-8", response);
  }

  static ssize_t ReadStream(void* state, uint64_t, char* buffer, size_t size) {
    auto* const exchange = static_cast<Exchange*>(state);
    return exchange->backend->ReadStream(exchange, buffer, size);
  }

  ssize_t ReadStream(Exchange* exchange, char* buffer, size_t size) {
    while (exchange->sent == exchange->events.size()) {
      if (exchange->gone || ending_) return MHD_CONTENT_READER_END_WITH_ERROR;
      const bool cut_now = exchange->is_cut && exchange->sent > 0;
      const std::vector<Progress> progress = ProgressOf(*exchange);
      if (cut_now || AnyFailed(progress)) return MHD_CONTENT_READER_END_WITH_ERROR;
      kvroute::Answer& answer = *exchange->outcome.answer;
      if (answer.ended()) return MHD_CONTENT_READER_END_OF_STREAM;
      std::string events = answer.NextEvents(progress);
      if (!events.empty()) {
        exchange->events = std::move(events);
        exchange->sent = 0;
      } else if (SleepUntilMore(exchange, [&answer](size_t i) { return answer.seen(i); })) {
        return 0;
      }
    }
    const size_t bytes = std::min(size, exchange->events.size() - exchange->sent);
    std::memcpy(buffer, exchange->events.data() + exchange->sent, bytes);
    exchange->sent += bytes;
    return static_cast<ssize_t>(bytes);
  }

  MHD_Result Send(Exchange* exchange, int status, const EngineReply& reply) {
    MHD_Response* const response = MHD_create_response_from_buffer(
        reply.body.size(), const_cast<char*>(reply.body.data()), MHD_RESPMEM_MUST_COPY);
    if (response == nullptr) return MHD_NO;
    return Queue(exchange, status, reply.content_type, response);
  }

  MHD_Result Queue(Exchange* exchange, int status, const std::string& content_type,
                   MHD_Response* response) {
    MHD_add_response_header(response, "Content-Type", content_type.c_str());
    MHD_add_response_header(response, "X-Simulated-Engine", api_.name(exchange->engine).c_str());
    const std::string destination(HeaderOf(exchange->connection, kDestination));
    if (!destination.empty()) {
      MHD_add_response_header(response, "X-Received-Destination", destination.c_str());
    }
    const MHD_Result queued =
        MHD_queue_response(exchange->connection, static_cast<unsigned>(status), response);
    MHD_destroy_response(response);  // it lives as long as it is being sent
    return queued;
  }

  // The engine dies at the next tick, so that the reply to this can leave before.
  void Doom(size_t engine, std::chrono::milliseconds for_so_long) {
    const Nanos now = Clock::Real().Monotonic();
    MutexLock lock(&mutex_);
    deaths_[engine] = {.at = now + kLastWords, .back_at = now + kLastWords + for_so_long};
  }

  void Tick() {
    if (++ticks_ % kTicksALook == 0) {
      for (Exchange* exchange : waiting_.TakeAbandoned()) {
        exchange->gone = true;
        MHD_resume_connection(exchange->connection);
      }
    }
    const Nanos now = Clock::Real().Monotonic();
    for (size_t engine = 0; engine < options_.listen.size(); ++engine) {
      bool dies = false, returns = false;
      {
        MutexLock lock(&mutex_);
        Death& death = deaths_[engine];
        dies = now >= death.at;
        returns = !dies && now >= death.back_at;
        if (dies) death.at = Nanos::max();
        if (returns) death.back_at = Nanos::max();
      }
      if (dies) {
        host_->Kill(engine);
        sockets_.Close(engine);
      }
      if (returns) {
        host_->Revive(engine);
        const absl::Status status = sockets_.Reopen(engine);
        if (!status.ok()) LogError("engine {}: {}", api_.name(engine), MessageOf(status));
      }
    }
  }

  const EngineServerOptions options_;
  EngineHost* const host_;
  EngineApi api_;
  EngineSockets sockets_;
  WaitingSet<Exchange*> waiting_;
  std::atomic<bool> ending_{false};
  uint64_t ticks_ = 0;  // the accepting thread's
  Mutex mutex_;
  std::vector<Death> deaths_ ABSL_GUARDED_BY(mutex_);
  MHD_Daemon* daemon_ = nullptr;
};

absl::StatusOr<std::unique_ptr<EngineServer>> EngineServer::Start(
    const EngineServerOptions& options, const EngineApiOptions& api, EngineHost* host) {
  std::unique_ptr<EngineServer> server(new EngineServer());
  server->backend_ = std::make_unique<Backend>(options, api, host);
  if (absl::Status status = server->backend_->Start(); !status.ok()) return status;
  return server;
}

EngineServer::~EngineServer() = default;

size_t EngineServer::waiting() const { return backend_->waiting(); }

std::string EngineServer::address(size_t engine) const {
  return backend_->sockets().address(engine);
}

}  // namespace kvroute
