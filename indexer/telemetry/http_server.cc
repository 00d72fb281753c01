#include "indexer/telemetry/http_server.h"

#include <civetweb.h>
#include <fmt/core.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <exception>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "indexer/base/mutex.h"

namespace kvroute {
namespace {

constexpr std::chrono::milliseconds kStopPoke{5};
constexpr int kConnectTimeoutMs = 100;

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

size_t StatusSlot(int status) {
  for (size_t i = 0; i < HttpServer::kStatuses.size(); ++i) {
    if (HttpServer::kStatuses[i] == status) return i;
  }
  return 3;  // 500
}

// Whether somebody listens there; "0.0.0.0" and "[::]" are this machine.
bool CanConnect(std::string_view host, int port) {
  if (host.size() >= 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(std::string(host).c_str(), absl::StrCat(port).c_str(), &hints, &found) != 0) {
    return false;
  }
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  bool connected = fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0;
  if (fd >= 0 && !connected && errno == EINPROGRESS) {
    pollfd item{.fd = fd, .events = POLLOUT, .revents = 0};
    connected = poll(&item, 1, kConnectTimeoutMs) == 1 && (item.revents & POLLERR) == 0;
  }
  if (fd >= 0) close(fd);
  freeaddrinfo(found);
  return connected;
}

}  // namespace

class HttpServer::Backend {
 public:
  explicit Backend(HttpServer* server) : server_(server) {}
  ~Backend() {
    if (context_ == nullptr) return;
    // The library looks whether it is to stop every 2 s, or when a client comes: be that client
    // until it has stopped. Somebody else may listen at the port by then.
    std::atomic<bool> stopped{false};
    std::thread client([this, &stopped] {
      while (!stopped && CanConnect(host_, server_->port_)) {
        std::this_thread::sleep_for(kStopPoke);
      }
    });
    mg_stop(context_);
    stopped = true;
    client.join();
  }

  absl::Status Start(const HttpOptions& options) {
    const std::string threads = absl::StrCat(options.threads);
    const std::string timeout_ms = absl::StrCat(options.request_timeout_ms);
    const std::string max_request = absl::StrCat(options.max_request_bytes);
    std::array<const char*, 13> settings = {"listening_ports",
                                            options.listen.c_str(),
                                            "num_threads",
                                            threads.c_str(),
                                            "request_timeout_ms",
                                            timeout_ms.c_str(),
                                            "max_request_size",
                                            max_request.c_str(),
                                            "enable_keep_alive",
                                            "yes",
                                            "keep_alive_timeout_ms",
                                            timeout_ms.c_str(),
                                            nullptr};
    mg_callbacks callbacks{};
    callbacks.begin_request = &Backend::OnRequest;
    callbacks.log_message = &Backend::OnLogMessage;
    context_ = mg_start(&callbacks, this, settings.data());
    if (context_ == nullptr) {
      MutexLock lock(&mutex_);
      return absl::UnavailableError(
          absl::StrCat("cannot listen on \"", options.listen, "\": ", last_message_));
    }
    mg_server_port port{};
    if (mg_get_server_ports(context_, 1, &port) != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot listen on \"", options.listen, "\": not one address"));
    }
    server_->port_ = port.port;
    host_ = options.listen.substr(0, options.listen.rfind(':'));
    return absl::OkStatus();
  }

 private:
  static int OnRequest(mg_connection* connection) {
    const mg_request_info* info = mg_get_request_info(connection);
    auto* self = static_cast<Backend*>(info->user_data);
    const HttpResponse response = self->server_->Answer(info->request_method, info->local_uri);
    const std::string head = fmt::format(
        "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n",
        response.status, ReasonPhrase(response.status), response.content_type, response.body.size(),
        response.status == 405 ? "Allow: GET\r\n" : "");
    mg_write(connection, head.data(), head.size());
    mg_write(connection, response.body.data(), response.body.size());
    return response.status;  // handled: the library must not look for a file
  }

  // The library's complaints would go to standard error; the last one is kept for Start's error.
  static int OnLogMessage(const mg_connection* connection, const char* message) {
    auto* self = static_cast<Backend*>(mg_get_user_data(mg_get_context(connection)));
    if (self == nullptr) return 1;
    MutexLock lock(&self->mutex_);
    self->last_message_ = message;
    return 1;
  }

  HttpServer* const server_;
  std::string host_;
  mg_context* context_ = nullptr;
  Mutex mutex_;
  std::string last_message_ ABSL_GUARDED_BY(mutex_) = "unusable address";
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpOptions& options,
                                                              Pages pages) {
  std::unique_ptr<HttpServer> server(new HttpServer(std::move(pages)));
  server->backend_ = std::make_unique<Backend>(server.get());
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
    for (const auto& [known, handler] : pages_) absl::StrAppend(&response.body, " ", known);
    response.body += '\n';
  } else if (method != "GET") {
    response = {.status = 405, .body = "only GET\n"};
  } else {
    try {
      response = page->second();
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
