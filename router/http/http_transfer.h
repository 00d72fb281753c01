#ifndef KVROUTE_ROUTER_HTTP_HTTP_TRANSFER_H_
#define KVROUTE_ROUTER_HTTP_HTTP_TRANSFER_H_

#include <curl/curl.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "indexer/base/clock.h"
#include "indexer/base/memory_budget.h"
#include "router/http/http_client.h"
#include "router/http/http_request.h"

namespace kvroute {

// One request and its reply, as libcurl sees them.
//
// Thread safety: one thread, the loop's. Ownership: the budget outlives it.
class HttpTransfer {
 public:
  HttpTransfer(HttpTransferId id, HttpRequest request, HttpOnData on_data, HttpOnDone on_done,
               MemoryBudget* memory);
  ~HttpTransfer();
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;

  // Makes the handle. False: it cannot be sent; why is in the reply.
  bool Prepare(Nanos now);
  // What names must be asked for: empty for an address or a unix socket.
  const std::string& host() const { return host_; }
  // The handle is ready for libcurl; `addresses` are those of the host, if it is a name.
  bool Connect(const std::vector<std::string>& addresses, Nanos now);
  CURL* handle() const { return handle_; }

  // What libcurl says of the end.
  void EndAs(CURLcode code);
  void EndAs(HttpEnd end, std::string_view message);
  // When it must be looked at again whatever happens; Nanos::max(): never.
  Nanos NextCheck() const;
  // True, and it has ended, when it has taken too long.
  bool EndIfLate(Nanos now);
  // Hands the reply over. The handle is not libcurl's any more.
  void Finish(Nanos now);

  HttpTransferId id() const { return id_; }
  const HttpReply& reply() const { return reply_; }
  uint64_t received_bytes() const { return received_bytes_; }

  HttpTimerId timer;        // of the loop's: for NextCheck
  bool is_naming = false;   // waits for the addresses of the host
  bool is_running = false;  // is with libcurl

 private:
  absl::Status ReadUrl();
  absl::Status SetOptions();
  absl::Status SetMethod();
  absl::Status SetHeaders();
  absl::Status AddToken();
  bool AddHeader(const std::string& line);
  bool TakeBody(std::string_view piece);
  bool TakeHeader(std::string_view line);
  static curl_socket_t OnSocket(void* self, curlsocktype, curl_sockaddr* to) noexcept;
  static size_t OnBody(char* data, size_t one, size_t size, void* self) noexcept;
  static size_t OnHeader(char* data, size_t one, size_t size, void* self) noexcept;

  const HttpTransferId id_;
  HttpRequest request_;
  const HttpOnData on_data_;
  const HttpOnDone on_done_;
  MemoryShare memory_;
  HttpReply reply_;
  Nanos began_{0};
  Nanos last_byte_{0};
  uint64_t received_bytes_ = 0;
  size_t header_bytes_ = 0;
  bool headers_are_whole_ = false;
  bool has_ended_ = false;
  bool not_allowed_ = false;  // an address of the host was in none of request_.networks

  CURL* handle_ = nullptr;
  curl_slist* headers_ = nullptr;
  curl_slist* resolve_ = nullptr;
  std::array<char, CURL_ERROR_SIZE> error_{};
  std::string host_;
  std::string port_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_HTTP_HTTP_TRANSFER_H_
