#include "indexer/telemetry/http_server.h"

#include <microhttpd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <exception>
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

size_t StatusSlot(int status) {
  for (size_t i = 0; i < HttpServer::kStatuses.size(); ++i) {
    if (HttpServer::kStatuses[i] == status) return i;
  }
  return 3;  // 500
}

bool IsRead(std::string_view method) { return method == "GET" || method == "HEAD"; }

void Silence(void*, const char*, va_list) {}

}  // namespace

class HttpServer::Backend {
 public:
  Backend(HttpServer* server, const HttpOptions& options)
      : server_(server),
        connections_(options.max_connections, options.max_unsent_bytes),
        pages_(options.threads) {}
  ~Backend() {
    if (daemon_ == nullptr) return;
    pages_.Stop();  // every connection that waits for a page goes on, or the daemon would not end
    MHD_stop_daemon(daemon_);  // closes the listening socket as well
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

 private:
  using Connection = HttpConnections::Connection;

  // One request, from its headers to the end of its answer. Of the event thread, but for `response`
  // while a page thread has it.
  struct Request {
    Connection* connection;
    bool asked = false;  // a page thread was given it
    std::optional<HttpResponse> response;
  };

  static void OnConnection(void* self, MHD_Connection* connection, void** context,
                           MHD_ConnectionNotificationCode code) {
    auto* const backend = static_cast<Backend*>(self);
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
      const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
      *context = backend->connections_.Add(info->connect_fd);
      backend->Evict();
    } else {
      backend->connections_.Remove(static_cast<Connection*>(*context));
    }
  }

  // Called with the headers, then for each piece of a body, then when the request is complete, and
  // once more when its page has been put together.
  static MHD_Result OnRequest(void* self, MHD_Connection* connection, const char* path,
                              const char* method, const char*, const char*, size_t* body_bytes,
                              void** state) {
    auto* const backend = static_cast<Backend*>(self);
    auto* request = static_cast<Request*>(*state);
    if (request == nullptr) {
      const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
      request = new Request{.connection = static_cast<Connection*>(info->socket_context),
                            .response = std::nullopt};
      *state = request;
      backend->connections_.Asked(request->connection);
      return IsRead(method) ? MHD_YES : backend->Reply(connection, request, method, path);
    }
    if (*body_bytes != 0) {  // nobody wants it
      *body_bytes = 0;
      return MHD_YES;
    }
    if (request->asked || backend->IsQuick(path) ||
        !backend->HandOver(connection, request, method, path)) {
      return backend->Reply(connection, request, method, path);
    }
    return MHD_YES;
  }

  static void OnCompleted(void* self, MHD_Connection*, void** state, MHD_RequestTerminationCode) {
    auto* const request = static_cast<Request*>(*state);
    if (request == nullptr) return;
    static_cast<Backend*>(self)->connections_.Answering(request->connection, 0);
    delete request;
    *state = nullptr;
  }

  bool IsQuick(const char* path) const {
    const auto page = server_->pages_.find(std::string_view(path));
    return page == server_->pages_.end() || page->second.quick;
  }

  // The connection sleeps until a page thread has the answer. False: there is none any more.
  bool HandOver(MHD_Connection* connection, Request* request, const char* method,
                const char* path) {
    MHD_suspend_connection(connection);
    request->asked = true;
    const bool taken = pages_.Run(
        [this, connection, request, method = std::string(method), path = std::string(path)] {
          request->response = server_->Answer(method, path);
          MHD_resume_connection(connection);
        });
    if (taken) return true;
    request->response = HttpResponse{.status = 503, .body = "ending\n"};
    MHD_resume_connection(connection);
    return true;
  }

  MHD_Result Reply(MHD_Connection* connection, Request* request, const char* method,
                   const char* path) {
    if (!request->response.has_value()) request->response = server_->Answer(method, path);
    const HttpResponse& answer = *request->response;
    MHD_Response* response = MHD_create_response_from_buffer(
        answer.body.size(), const_cast<char*>(answer.body.data()), MHD_RESPMEM_PERSISTENT);
    if (response == nullptr) return MHD_NO;
    MHD_add_response_header(response, "Content-Type", answer.content_type.c_str());
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (answer.status == 405) MHD_add_response_header(response, "Allow", "GET, HEAD");
    const MHD_Result queued =
        MHD_queue_response(connection, static_cast<unsigned>(answer.status), response);
    MHD_destroy_response(response);  // it lives as long as it is being sent
    connections_.Answering(request->connection, answer.body.size());
    Evict();
    return queued;
  }

  // A socket that is shut down is found closed by the daemon in its next turn.
  void Evict() {
    for (int fd; (fd = connections_.TakeVictim()) >= 0;) {
      shutdown(fd, SHUT_RDWR);
      server_->evicted_.fetch_add(1, std::memory_order_relaxed);
    }
  }

  HttpServer* const server_;
  HttpConnections connections_;  // of the event thread
  PageThreads pages_;
  MHD_Daemon* daemon_ = nullptr;
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpOptions& options,
                                                              Pages pages) {
  std::unique_ptr<HttpServer> server(new HttpServer(std::move(pages)));
  server->backend_ = std::make_unique<Backend>(server.get(), options);
  if (absl::Status status = server->backend_->Start(options); !status.ok()) return status;
  return server;
}

HttpServer::HttpServer(Pages pages) : pages_(std::move(pages)) {}

HttpServer::~HttpServer() = default;

HttpResponse HttpServer::Answer(std::string_view method, std::string_view path) {
  HttpResponse response;
  const auto page = pages_.find(path);
  if (page == pages_.end()) {
    response = {.status = 404, .body = "not found; there is:"};
    for (const auto& [known, unused] : pages_) absl::StrAppend(&response.body, " ", known);
    response.body += '\n';
  } else if (!IsRead(method)) {
    response = {.status = 405, .body = "only GET and HEAD\n"};
  } else {
    try {
      response = page->second.handler();
    } catch (const std::exception& error) {  // out of memory while a page is put together
      response = {.status = 500, .body = absl::StrCat(error.what(), "\n")};
    }
  }
  answered_[StatusSlot(response.status)].fetch_add(1, std::memory_order_relaxed);
  return response;
}

uint64_t HttpServer::Answered(int status) const {
  return answered_[StatusSlot(status)].load(std::memory_order_relaxed);
}

}  // namespace kvroute
