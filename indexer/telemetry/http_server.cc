#include "indexer/telemetry/http_server.h"

#include <microhttpd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "indexer/telemetry/http_connections.h"
#include "indexer/telemetry/listening_socket.h"
#include "indexer/telemetry/page_threads.h"

namespace kvroute {
namespace {

// Of connections that are being closed while others have taken their places.
constexpr unsigned kClosing = 64;

// What is read and thrown away of a body that is too long, so that its sender gets to see why.
constexpr uint64_t kSwallowedBytes = uint64_t{16} << 20;

size_t StatusSlot(int status) {
  const auto& statuses = HttpServer::kStatuses;
  const auto* found = std::find(statuses.begin(), statuses.end(), status);
  if (found == statuses.end()) found = std::find(statuses.begin(), statuses.end(), 500);
  return static_cast<size_t>(found - statuses.begin());
}

bool IsRead(std::string_view method) { return method == "GET" || method == "HEAD"; }

bool Reads(const HttpPage& page) { return page.handler != nullptr || page.asked != nullptr; }
bool Takes(const HttpPage& page, std::string_view method) {
  return method == "POST" && page.posted != nullptr;
}

std::string AllowedOf(const HttpPage& page) {
  if (page.posted == nullptr) return "GET, HEAD";
  return Reads(page) ? "GET, HEAD, POST" : "POST";
}

// By name: who accepts everything gets what everybody can read.
bool AcceptsOpenMetrics(MHD_Connection* connection) {
  const char* const accept =
      MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
  return accept != nullptr &&
         std::string_view(accept).find("application/openmetrics-text") != std::string_view::npos;
}

MHD_Result TakeArgument(void* arguments, MHD_ValueKind, const char* name, const char* value) {
  static_cast<decltype(HttpCall::arguments)*>(arguments)->emplace_back(
      name, value == nullptr ? "" : value);
  return MHD_YES;
}

void Silence(void*, const char*, va_list) {}

}  // namespace

class HttpServer::Backend {
 public:
  Backend(HttpServer* server, const HttpOptions& options)
      : server_(server),
        max_body_bytes_(options.max_body_bytes),
        max_bodies_bytes_(options.max_bodies_bytes),
        connections_(options.max_connections, options.max_unsent_bytes),
        memory_(options.memory),
        bodies_(options.bodies),
        pages_(options.threads) {}
  ~Backend() {
    if (daemon_ == nullptr) return;
    pages_.Stop();  // every connection that waits for a page goes on, or the daemon would not end
    MHD_stop_daemon(daemon_);  // closes the listening socket as well
    if (memory_ != nullptr) memory_->Charge(-counted_unsent_);
  }

  absl::Status Start(const HttpOptions& options) {
    const absl::StatusOr<ListeningSocket> socket = Listen(options.listen);
    if (!socket.ok()) return socket.status();
    server_->port_ = socket->port;
    daemon_ = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, nullptr, nullptr,
        &Backend::OnRequest, this, MHD_OPTION_LISTEN_SOCKET, socket->fd,
        MHD_OPTION_CONNECTION_LIMIT, static_cast<unsigned>(options.max_connections) + kClosing,
        MHD_OPTION_CONNECTION_TIMEOUT, static_cast<unsigned>(options.idle_timeout_s),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, options.max_request_bytes, MHD_OPTION_NOTIFY_CONNECTION,
        &Backend::OnConnection, this, MHD_OPTION_NOTIFY_COMPLETED, &Backend::OnCompleted, this,
        MHD_OPTION_EXTERNAL_LOGGER, &Silence, nullptr, MHD_OPTION_END);
    if (daemon_ != nullptr) return absl::OkStatus();
    close(socket->fd);
    return absl::UnavailableError(absl::StrCat("cannot serve on \"", options.listen, "\""));
  }

  std::vector<std::pair<std::string, const ThreadPulse*>> Pulses() const {
    std::vector<std::pair<std::string, const ThreadPulse*>> pulses = {{"http", &pulse_}};
    for (const ThreadPulse& pulse : pages_.pulses()) {
      pulses.emplace_back(absl::StrCat("http-page-", pulses.size() - 1), &pulse);
    }
    return pulses;
  }

 private:
  using Connection = HttpConnections::Connection;

  // One request, from its headers to the end of its answer. Of the event thread, but while a page
  // thread has it.
  struct Request {
    Connection* connection;
    bool asked = false;  // a page thread was given it
    bool takes_body = false;
    std::string body = "";
    uint64_t received_bytes = 0;  // of it, kept or not
    std::optional<HttpResponse> response;
    HttpConnections::Body sent = nullptr;  // the response's body, which others may be sent as well
    std::string allowed = "";              // of a 405
  };

  static void OnConnection(void* self, MHD_Connection* connection, void** context,
                           MHD_ConnectionNotificationCode code) {
    auto* const backend = static_cast<Backend*>(self);
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
      const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
      *context = backend->connections_.Add(info->connect_fd, Clock::Real().Monotonic());
      backend->Evict();
    } else {
      backend->connections_.Remove(static_cast<Connection*>(*context));
    }
  }

  // Called with the headers, then for each piece of a body, then when the request is complete, and
  // once more when its page has been put together. A body that there is no memory for costs its
  // connection: nothing may be thrown through the library.
  static MHD_Result OnRequest(void* self, MHD_Connection* connection, const char* path,
                              const char* method, const char*, const char* piece,
                              size_t* body_bytes, void** state) {
    auto* const backend = static_cast<Backend*>(self);
    const PulseOfWork work(&backend->pulse_);
    try {
      if (*state == nullptr) {
        *state = backend->Begin(connection, method, path);
        return MHD_YES;
      }
      auto* const request = static_cast<Request*>(*state);
      const std::string_view body(piece, std::exchange(*body_bytes, 0));
      if (!body.empty()) return backend->TakePiece(request, body) ? MHD_YES : MHD_NO;
      if (request->asked || request->response.has_value() || backend->IsQuick(path)) {
        return backend->Reply(connection, request, method, path);
      }
      backend->HandOver(connection, request, method, path);
      return MHD_YES;
    } catch (const std::bad_alloc&) {
      return MHD_NO;
    }
  }

  static void OnCompleted(void* self, MHD_Connection*, void** state,
                          MHD_RequestTerminationCode how) {
    auto* const request = static_cast<Request*>(*state);
    if (request == nullptr) return;
    auto* const backend = static_cast<Backend*>(self);
    backend->connections_.Answered(request->connection, how == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    backend->CountUnsent();
    backend->Drop(request);
    delete request;
    *state = nullptr;
  }

  bool IsQuick(const char* path) const {
    const auto page = server_->pages_.find(std::string_view(path));
    return page == server_->pages_.end() || page->second.quick;
  }

  // Where there is no such page or method, the answer is known before the body comes.
  Request* Begin(MHD_Connection* connection, const char* method, const char* path) {
    const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    auto request = std::make_unique<Request>(Request{
        .connection = static_cast<Connection*>(info->socket_context), .response = std::nullopt});
    connections_.Asked(request->connection);
    const auto page = server_->pages_.find(std::string_view(path));
    const bool has_page = page != server_->pages_.end();
    request->takes_body = has_page && Takes(page->second, method);
    if (request->takes_body || (has_page && IsRead(method) && Reads(page->second))) {
      return request.release();
    }
    if (has_page) request->allowed = AllowedOf(page->second);
    request->response = server_->Answer(method, CallOf(connection, request.get(), path));
    return request.release();
  }

  // False: it is cut off. A sender gets to see why its body is not wanted once it has sent it, but
  // not whatever it sends.
  bool TakePiece(Request* request, std::string_view piece) {
    request->received_bytes += piece.size();
    const bool wanted = request->takes_body && !request->response.has_value();
    if (wanted && request->received_bytes > max_body_bytes_) {
      Drop(request);
      request->response =
          server_->Refuse(413, absl::StrCat("body: more than ", max_body_bytes_, " bytes\n"));
    }
    if (!wanted || request->response.has_value()) {
      return request->received_bytes <= max_body_bytes_ + kSwallowedBytes;
    }
    if (bodies_bytes_ + piece.size() > max_bodies_bytes_) {
      Drop(request);
      request->response = server_->Refuse(
          503, absl::StrCat("body: those under way take ", max_bodies_bytes_, " bytes already\n"));
      return true;
    }
    request->body.append(piece);
    CountBody(static_cast<int64_t>(piece.size()));
    return true;
  }
  void Drop(Request* request) {
    CountBody(-static_cast<int64_t>(request->body.size()));
    request->body = {};
  }
  void CountBody(int64_t bytes) {
    bodies_bytes_ += static_cast<size_t>(bytes);
    if (bodies_ != nullptr) bodies_->Charge(bytes);
  }

  HttpCall CallOf(MHD_Connection* connection, const Request* request, const char* path) const {
    HttpCall call{.path = path, .content_type = {}, .body = request->body, .arguments = {}};
    const char* const type =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    if (type != nullptr) call.content_type = type;
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, &TakeArgument, &call.arguments);
    return call;
  }

  // A page that is the same whoever asks is made once for all that wait for it: a flood of requests
  // costs two of them at a time.
  bool GiveToPages(MHD_Connection* connection, Request* request, const char* method,
                   const char* path) {
    const auto page = server_->pages_.find(std::string_view(path));
    if (page != server_->pages_.end() && page->second.handler != nullptr && IsRead(method)) {
      const bool open = page->second.open_metrics != nullptr && AcceptsOpenMetrics(connection);
      return pages_.RunOnce(open ? page->first + " as OpenMetrics" : page->first,
                            {connection, request},
                            [this, open, path = page->first](const PageThreads::Waiting& waiting) {
                              AnswerAll({.path = path,
                                         .content_type = {},
                                         .body = {},
                                         .arguments = {},
                                         .open_metrics = open},
                                        waiting);
                            });
    }
    // Its views are of the request and its connection, which live as long as they sleep.
    return pages_.Run([this, connection, request, method = std::string(method),
                       call = CallOf(connection, request, path)] {
      request->response = server_->Answer(method, call);
      MHD_resume_connection(connection);
    });
  }

  // The connection sleeps until a page thread has the answer.
  void HandOver(MHD_Connection* connection, Request* request, const char* method,
                const char* path) {
    MHD_suspend_connection(connection);
    request->asked = true;
    bool taken = false;
    try {
      taken = GiveToPages(connection, request, method, path);
    } catch (const std::bad_alloc&) {
      MHD_resume_connection(connection);
      throw;
    }
    if (taken) return;
    request->response = server_->Refuse(503, "ending\n");
    MHD_resume_connection(connection);
  }

  void AnswerAll(const HttpCall& call, const PageThreads::Waiting& waiting) {
    HttpResponse response = server_->Answer("GET", call);
    const auto body = std::make_shared<const std::string>(std::move(response.body));
    for (size_t i = 1; i < waiting.size(); ++i) server_->Count(response.status);
    response.body.clear();
    for (const auto& [connection, request] : waiting) {
      auto* const asks = static_cast<Request*>(request);
      asks->response = response;
      asks->sent = body;
      MHD_resume_connection(static_cast<MHD_Connection*>(connection));
    }
  }

  MHD_Result Reply(MHD_Connection* connection, Request* request, const char* method,
                   const char* path) {
    if (!request->response.has_value()) {
      request->response = server_->Answer(method, CallOf(connection, request, path));
    }
    HttpResponse& answer = *request->response;
    if (request->sent == nullptr) {
      request->sent = std::make_shared<const std::string>(std::move(answer.body));
    }
    MHD_Response* response = MHD_create_response_from_buffer(
        request->sent->size(), const_cast<char*>(request->sent->data()), MHD_RESPMEM_PERSISTENT);
    if (response == nullptr) return MHD_NO;
    MHD_add_response_header(response, "Content-Type", answer.content_type.c_str());
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (answer.status == 405) MHD_add_response_header(response, "Allow", request->allowed.c_str());
    const MHD_Result queued =
        MHD_queue_response(connection, static_cast<unsigned>(answer.status), response);
    MHD_destroy_response(response);  // it lives as long as it is being sent
    connections_.Answering(request->connection, request->sent, Clock::Real().Monotonic());
    Evict();
    CountUnsent();
    return queued;
  }

  // A socket that is shut down is found closed by the daemon in its next turn.
  void Evict() {
    for (int fd; (fd = connections_.TakeVictim(Clock::Real().Monotonic())) >= 0;) {
      shutdown(fd, SHUT_RDWR);
      server_->evicted_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  // Pages must be told whatever they take: they are cut off, not refused.
  void CountUnsent() {
    if (memory_ == nullptr) return;
    const auto now = static_cast<int64_t>(connections_.unsent_bytes());
    memory_->Charge(now - std::exchange(counted_unsent_, now));
  }

  HttpServer* const server_;
  const size_t max_body_bytes_;
  const size_t max_bodies_bytes_;
  size_t bodies_bytes_ = 0;      // of the event thread
  HttpConnections connections_;  // its
  MemoryBudget* const memory_;   // of what is unsent; may be null
  int64_t counted_unsent_ = 0;
  MemoryBudget* const bodies_;  // may be null
  ThreadPulse pulse_;           // its
  PageThreads pages_;
  MHD_Daemon* daemon_ = nullptr;
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpOptions& options,
                                                              Pages pages) {
  std::unique_ptr<HttpServer> server(new HttpServer(std::move(pages), options.wrong_method));
  server->backend_ = std::make_unique<Backend>(server.get(), options);
  if (absl::Status status = server->backend_->Start(options); !status.ok()) return status;
  return server;
}

HttpServer::HttpServer(Pages pages, std::string wrong_method)
    : pages_(std::move(pages)), wrong_method_(std::move(wrong_method)) {}

HttpServer::~HttpServer() = default;

std::vector<std::pair<std::string, const ThreadPulse*>> HttpServer::Pulses() const {
  return backend_->Pulses();
}

HttpResponse HttpServer::Answer(std::string_view method, const HttpCall& call) {
  const auto page = pages_.find(call.path);
  if (page == pages_.end()) {
    std::string text = "not found; there is:";
    for (const auto& [known, unused] : pages_) absl::StrAppend(&text, " ", known);
    return Refuse(404, text + '\n');
  }
  const HttpPage& it = page->second;
  const bool fits = IsRead(method) ? Reads(it) : Takes(it, method);
  if (!fits) return Refuse(405, wrong_method_);
  try {
    HttpResponse response = !IsRead(method)                        ? it.posted(call)
                            : it.asked                             ? it.asked(call)
                            : it.open_metrics && call.open_metrics ? it.open_metrics()
                                                                   : it.handler();
    Count(response.status);
    return response;
  } catch (const std::exception& error) {  // out of memory while a page is put together
    return Refuse(500, absl::StrCat(error.what(), "\n"));
  }
}

HttpResponse HttpServer::Refuse(int status, std::string text) {
  Count(status);
  return {.status = status, .body = std::move(text)};
}

void HttpServer::Count(int status) {
  answered_[StatusSlot(status)].fetch_add(1, std::memory_order_relaxed);
}

std::string_view HttpCall::Argument(std::string_view name) const {
  for (const auto& [known, value] : arguments) {
    if (known == name) return value;
  }
  return {};
}

uint64_t HttpServer::Answered(int status) const {
  return answered_[StatusSlot(status)].load(std::memory_order_relaxed);
}

}  // namespace kvroute
