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
#include "indexer/base/error.h"
#include "indexer/telemetry/http_connections.h"
#include "indexer/telemetry/http_methods.h"
#include "indexer/telemetry/listening_socket.h"
#include "indexer/telemetry/page_threads.h"

namespace kvroute {
namespace {

// Of connections that are being closed while others have taken their places.
constexpr unsigned kClosing = 64;

// What is read and thrown away of a body that is too long, so that its sender gets to see why.
constexpr uint64_t kSwallowedBytes = uint64_t{16} << 20;

constexpr const char* kTlsVersions = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

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
    std::vector<MHD_OptionItem> tls;
    KVROUTE_RETURN_IF_ERROR(StartTls(options.tls, &tls));
    const absl::StatusOr<ListeningSocket> socket = Listen(options.listen);
    if (!socket.ok()) return socket.status();
    server_->port_ = socket->port;
    daemon_ = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
            (tls_ == nullptr ? 0u : unsigned{MHD_USE_TLS}),
        0, nullptr, nullptr, &Backend::OnRequest, this, MHD_OPTION_LISTEN_SOCKET, socket->fd,
        MHD_OPTION_CONNECTION_LIMIT, static_cast<unsigned>(options.max_connections) + kClosing,
        MHD_OPTION_CONNECTION_TIMEOUT, static_cast<unsigned>(options.idle_timeout_s),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, options.max_request_bytes, MHD_OPTION_NOTIFY_CONNECTION,
        &Backend::OnConnection, this, MHD_OPTION_NOTIFY_COMPLETED, &Backend::OnCompleted, this,
        MHD_OPTION_EXTERNAL_LOGGER, &Silence, nullptr, MHD_OPTION_ARRAY, tls.data(),
        MHD_OPTION_END);
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

  // What the library is told at its start; each connection is given its certificates by tls_.
  absl::Status StartTls(const HttpServerTlsOptions& options, std::vector<MHD_OptionItem>* told) {
    if (options.fetch) {
      auto tls = HttpServerTls::Start(options);
      if (!tls.ok()) return tls.status();
      tls_ = *std::move(tls);
      const auto text = [](const std::string& pem) { return const_cast<char*>(pem.c_str()); };
      told->push_back({MHD_OPTION_HTTPS_MEM_KEY, 0, text(tls_->first().key)});
      told->push_back({MHD_OPTION_HTTPS_MEM_CERT, 0, text(tls_->first().certificate)});
      told->push_back({MHD_OPTION_HTTPS_PRIORITIES, 0, const_cast<char*>(kTlsVersions)});
    }
    told->push_back({MHD_OPTION_END, 0, nullptr});
    return absl::OkStatus();
  }

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
      backend->BeginTls(connection, *context);
      backend->Evict();
    } else {
      if (backend->tls_ != nullptr) backend->tls_->Ended(*context);
      backend->connections_.Remove(static_cast<Connection*>(*context));
    }
  }

  void BeginTls(MHD_Connection* connection, const void* owner) {
    if (tls_ == nullptr) return;
    const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    tls_->Began(owner, static_cast<gnutls_session_int*>(info->tls_session));
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
      request->response = RefusalOf(connection, request->connection, page->second);
      if (request->response) server_->Count(request->response->status);
      return request.release();
    }
    if (has_page) request->allowed = AllowedOf(page->second);
    request->response = server_->Answer(method, CallOf(connection, request.get(), path));
    return request.release();
  }

  std::optional<HttpResponse> RefusalOf(MHD_Connection* connection, const Connection* owner,
                                        const HttpPage& page) {
    if (!page.refused) return std::nullopt;
    const char* const authorization =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const std::string peer = SocketName(info->client_addr);
    return page.refused({.peer = peer,
                         .authorization = authorization == nullptr ? "" : authorization,
                         .certificate_names = tls_ == nullptr ? std::vector<std::string_view>()
                                                              : tls_->NamesOf(owner)});
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
    if (!answer.authenticate.empty()) {
      MHD_add_response_header(response, "WWW-Authenticate", answer.authenticate.c_str());
    }
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
  std::unique_ptr<HttpServerTls> tls_;  // nullptr: plain text
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

}  // namespace kvroute
