#include "router/http/http_transfer.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <new>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "indexer/base/check.h"
#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/network_list.h"
#include "indexer/base/read_file.h"
#include "indexer/base/text.h"

namespace kvroute {
namespace {

constexpr size_t kUnlimited = SIZE_MAX;
constexpr size_t kMaxMessageBytes = 256;

// A part of a URL, and frees what libcurl gave.
std::string UrlPart(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string copy(text);
  curl_free(text);
  return copy;
}

bool IsAddress(const std::string& host) {
  std::array<char, sizeof(in6_addr)> bytes;
  return inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

// Of a header or a method: what would end it early.
bool HasLineEnd(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
}

HttpEnd EndOf(CURLcode code) {
  switch (code) {
    case CURLE_OK:
      return HttpEnd::kReply;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return HttpEnd::kName;
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:  // the only time it keeps is that of connecting
    case CURLE_INTERFACE_FAILED:
      return HttpEnd::kConnect;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_SSL_ENGINE_INITFAILED:
      return HttpEnd::kTls;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_FAIL_REWIND:
      return HttpEnd::kCut;
    case CURLE_OUT_OF_MEMORY:
      return HttpEnd::kBusy;
    case CURLE_URL_MALFORMAT:
    case CURLE_BAD_FUNCTION_ARGUMENT:
      return HttpEnd::kBad;
    default:
      return HttpEnd::kProtocol;
  }
}

}  // namespace

HttpTransfer::HttpTransfer(HttpTransferId id, HttpRequest request, HttpOnData on_data,
                           HttpOnDone on_done, MemoryBudget* memory)
    : id_(id),
      request_(std::move(request)),
      on_data_(std::move(on_data)),
      on_done_(std::move(on_done)),
      memory_(memory, kUnlimited) {}

HttpTransfer::~HttpTransfer() {
  if (handle_ != nullptr) curl_easy_cleanup(handle_);
  curl_slist_free_all(headers_);
  curl_slist_free_all(resolve_);
}

bool HttpTransfer::Prepare(Nanos now) {
  began_ = last_byte_ = now;
  absl::Status status = ReadUrl();
  if (status.ok()) status = SetOptions();
  if (status.ok()) status = SetMethod();
  if (status.ok()) status = SetHeaders();
  if (!status.ok()) {
    EndAs(HttpEnd::kBad, MessageOf(status));
    return false;
  }
  status = AddToken();
  if (!status.ok()) EndAs(HttpEnd::kToken, MessageOf(status));
  return status.ok();
}

absl::Status HttpTransfer::ReadUrl() {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url(curl_url(), curl_url_cleanup);
  if (url == nullptr) return absl::ResourceExhaustedError("no memory");
  const bool good = request_.url.size() <= limits::kMaxHttpUrlBytes && !HasLineEnd(request_.url) &&
                    curl_url_set(url.get(), CURLUPART_URL, request_.url.c_str(), 0) == CURLUE_OK;
  const std::string scheme = good ? UrlPart(url.get(), CURLUPART_SCHEME) : "";
  if (scheme != "http" && scheme != "https") {
    return InvalidArgument("url: \"{}\" is not http:// or https:// with a host",
                           request_.url.substr(0, kMaxMessageBytes));
  }
  host_ = absl::AsciiStrToLower(UrlPart(url.get(), CURLUPART_HOST));
  port_ = UrlPart(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  const bool is_v6 = host_.starts_with('[');
  if (is_v6 || !request_.unix_socket.empty() || IsAddress(host_)) host_.clear();
  return absl::OkStatus();
}

absl::Status HttpTransfer::SetOptions() {
  handle_ = curl_easy_init();
  if (handle_ == nullptr) return absl::ResourceExhaustedError("no memory");
  bool good = true;
  const auto set = [&](CURLoption option, auto value) {
    good = good && curl_easy_setopt(handle_, option, value) == CURLE_OK;
  };
  set(CURLOPT_PRIVATE, this);
  set(CURLOPT_ERRORBUFFER, error_.data());
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_URL, request_.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_PROXY, "");  // whatever the environment says
  set(CURLOPT_HTTP09_ALLOWED, 0L);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_DNS_CACHE_TIMEOUT, 1L);  // HttpNames remembers
  set(CURLOPT_WRITEFUNCTION, &OnBody);
  set(CURLOPT_WRITEDATA, this);
  set(CURLOPT_HEADERFUNCTION, &OnHeader);
  set(CURLOPT_HEADERDATA, this);
  if (!request_.unix_socket.empty()) {
    set(CURLOPT_UNIX_SOCKET_PATH, request_.unix_socket.c_str());
  }
  if (request_.networks != nullptr) {
    set(CURLOPT_OPENSOCKETFUNCTION, &OnSocket);
    set(CURLOPT_OPENSOCKETDATA, this);
  }
  const HttpTls& tls = request_.tls;
  if (!tls.ca_file.empty()) {
    set(CURLOPT_CAINFO, tls.ca_file.c_str());
    set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));  // it alone
  }
  if (!tls.certificate_file.empty()) set(CURLOPT_SSLCERT, tls.certificate_file.c_str());
  if (!tls.key_file.empty()) set(CURLOPT_SSLKEY, tls.key_file.c_str());
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(CURLOPT_SSL_VERIFYPEER, tls.insecure ? 0L : 1L);
  set(CURLOPT_SSL_VERIFYHOST, tls.insecure ? 0L : 2L);
  if (good) return absl::OkStatus();
  return InvalidArgument("unix_socket or tls: \"{}\" cannot be used", request_.unix_socket);
}

absl::Status HttpTransfer::SetMethod() {
  const std::string& method = request_.method;
  if (method.empty() || method.size() > 32 ||
      !std::all_of(method.begin(), method.end(), absl::ascii_isalpha)) {
    return InvalidArgument("method: \"{}\" is none", method.substr(0, 32));
  }
  if (!request_.body.empty() || method == "POST") {
    curl_easy_setopt(handle_, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request_.body.size()));
    curl_easy_setopt(handle_, CURLOPT_POSTFIELDS, request_.body.data());
  }
  if (method == "HEAD") curl_easy_setopt(handle_, CURLOPT_NOBODY, 1L);
  if (method != "HEAD" && method != "GET" && method != "POST") {
    curl_easy_setopt(handle_, CURLOPT_CUSTOMREQUEST, method.c_str());
  } else if (method == "GET" && !request_.body.empty()) {
    curl_easy_setopt(handle_, CURLOPT_CUSTOMREQUEST, "GET");
  }
  return absl::OkStatus();
}

absl::Status HttpTransfer::SetHeaders() {
  for (const std::string& header : request_.headers) {
    const size_t colon = header.find(':');
    if (colon == 0 || colon == std::string::npos || HasLineEnd(header)) {
      return InvalidArgument("headers: \"{}\" is no line \"Name: value\"",
                             header.substr(0, kMaxMessageBytes));
    }
    // libcurl leaves a header without a value out, unless it is written so.
    const bool has_value = header.find_first_not_of(" \t", colon + 1) != std::string::npos;
    if (!AddHeader(has_value ? header : header.substr(0, colon) + ";")) {
      return absl::ResourceExhaustedError("no memory");
    }
  }
  if (!AddHeader("Expect:")) return absl::ResourceExhaustedError("no memory");  // sends none
  return absl::OkStatus();
}

absl::Status HttpTransfer::AddToken() {
  if (request_.bearer_token_file.empty()) return absl::OkStatus();
  absl::StatusOr<std::string> text = ReadFile(request_.bearer_token_file, limits::kMaxKeyFileBytes);
  if (!text.ok()) return text.status();
  const absl::string_view trimmed = absl::StripAsciiWhitespace(*text);
  const std::string_view token(trimmed.data(), trimmed.size());
  const bool good = !token.empty() && std::all_of(token.begin(), token.end(), absl::ascii_isgraph);
  if (!good) {
    return InvalidArgument("{}: is no token: one line of printable characters",
                           request_.bearer_token_file);
  }
  if (!AddHeader(fmt::format("Authorization: Bearer {}", token))) {
    return absl::ResourceExhaustedError("no memory");
  }
  return absl::OkStatus();
}

bool HttpTransfer::AddHeader(const std::string& line) {
  curl_slist* const longer = curl_slist_append(headers_, line.c_str());
  if (longer == nullptr) return false;
  headers_ = longer;
  return true;
}

bool HttpTransfer::Connect(const std::vector<std::string>& addresses, Nanos now) {
  // It counts from here: a name that took its time leaves less.
  const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(now - began_);
  const auto left = std::max(request_.connect_timeout - spent, std::chrono::milliseconds(1));
  curl_easy_setopt(handle_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(left.count()));
  curl_easy_setopt(handle_, CURLOPT_HTTPHEADER, headers_);
  if (host_.empty()) return true;
  std::string list;
  for (const std::string& address : addresses) {
    if (address.find('%') != std::string::npos) continue;  // an interface's: libcurl takes none
    const bool is_v6 = address.find(':') != std::string::npos;
    list += fmt::format("{}{}", list.empty() ? "" : ",",
                        is_v6 ? fmt::format("[{}]", address) : address);
  }
  if (list.empty()) {
    EndAs(HttpEnd::kName, fmt::format("{}: has no address", host_));
    return false;
  }
  // "+": what libcurl remembers of it goes by itself.
  resolve_ = curl_slist_append(nullptr, fmt::format("+{}:{}:{}", host_, port_, list).c_str());
  if (resolve_ != nullptr && curl_easy_setopt(handle_, CURLOPT_RESOLVE, resolve_) == CURLE_OK) {
    return true;
  }
  EndAs(HttpEnd::kBusy, "no memory");
  return false;
}

void HttpTransfer::EndAs(CURLcode code) {
  // libcurl takes a connection that ends amid the headers for the end of the reply.
  if (code == CURLE_OK && !headers_are_whole_) {
    return EndAs(HttpEnd::kCut, "the connection ended within the headers");
  }
  if (code == CURLE_COULDNT_CONNECT && not_allowed_) {
    return EndAs(HttpEnd::kConnect,
                 fmt::format("the host has no address in registration.networks: {}",
                             request_.networks->text()));
  }
  const std::string_view message(error_.data());
  EndAs(EndOf(code), message.empty() && code != CURLE_OK ? curl_easy_strerror(code) : message);
}

// The first reason stands: libcurl only says of what we ended that it was ended.
void HttpTransfer::EndAs(HttpEnd end, std::string_view message) {
  if (std::exchange(has_ended_, true)) return;
  reply_.end = end;
  if (end != HttpEnd::kReply) reply_.message = OneLine(message.substr(0, kMaxMessageBytes));
}

Nanos HttpTransfer::NextCheck() const {
  Nanos at = Nanos::max();
  if (request_.deadline.count() != 0) at = std::min(at, began_ + Nanos(request_.deadline));
  if (request_.idle_timeout.count() != 0) {
    at = std::min(at, last_byte_ + Nanos(request_.idle_timeout));
  }
  if (is_naming) at = std::min(at, began_ + Nanos(request_.connect_timeout));
  return at;
}

bool HttpTransfer::EndIfLate(Nanos now) {
  if (now < NextCheck()) return false;
  if (request_.deadline.count() != 0 && now >= began_ + Nanos(request_.deadline)) {
    EndAs(HttpEnd::kDeadline, "not answered in time");
  } else if (is_naming && now >= began_ + Nanos(request_.connect_timeout)) {
    EndAs(HttpEnd::kName, fmt::format("{}: nobody says its address in time", host_));
  } else {
    EndAs(HttpEnd::kIdle, "nothing came for too long");
  }
  return true;
}

void HttpTransfer::Finish(Nanos now) {
  long status = 0;
  if (handle_ != nullptr &&
      curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK) {
    reply_.status = static_cast<int>(status);
  }
  reply_.took = now - began_;
  memory_.GiveBackAll();
  if (on_done_) on_done_(std::move(reply_));
}

// Before each connection, when it is known where it would go.
curl_socket_t HttpTransfer::OnSocket(void* self, curlsocktype, curl_sockaddr* to) noexcept {
  auto* const transfer = static_cast<HttpTransfer*>(self);
  if (transfer->request_.networks->Allows(&to->addr)) {
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
  }
  transfer->not_allowed_ = true;
  return CURL_SOCKET_BAD;
}

bool HttpTransfer::TakeBody(std::string_view piece) {
  if (has_ended_) return false;
  last_byte_ = Clock::Real().Monotonic();
  received_bytes_ += piece.size();
  long status = 0;
  curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
  const bool streams = on_data_ && status >= 200 && status <= 299;
  const size_t limit = request_.max_reply_bytes == 0 && streams ? kUnlimited
                       : request_.max_reply_bytes == 0          ? limits::kMaxHttpReplyBytes
                                                                : request_.max_reply_bytes;
  if (received_bytes_ > limit) {
    EndAs(HttpEnd::kTooLong, fmt::format("the reply is longer than {} bytes", limit));
    return false;
  }
  if (streams) {
    on_data_(piece);
    return true;
  }
  if (!memory_.TryTake(piece.size())) {
    EndAs(HttpEnd::kBusy, "all replies together are longer than the limit");
    return false;
  }
  try {
    reply_.body.append(piece);
  } catch (const std::bad_alloc&) {  // the system has less than we may have
    EndAs(HttpEnd::kBusy, "no memory");
  }
  return !has_ended_;
}

bool HttpTransfer::TakeHeader(std::string_view line) {
  if (has_ended_) return false;
  last_byte_ = Clock::Real().Monotonic();
  header_bytes_ += line.size();
  if (header_bytes_ > limits::kMaxHttpHeaderBytes) {
    EndAs(HttpEnd::kTooLong,
          fmt::format("the headers are longer than {} bytes", limits::kMaxHttpHeaderBytes));
    return false;
  }
  if (line.starts_with("HTTP/")) headers_are_whole_ = false;
  if (line == "\r\n" || line == "\n") headers_are_whole_ = true;
  constexpr std::string_view kContentType = "content-type:";
  if (absl::StartsWithIgnoreCase(absl::string_view(line.data(), line.size()), "content-type:")) {
    const auto value = absl::StripAsciiWhitespace(
        absl::string_view(line.data(), line.size()).substr(kContentType.size()));
    reply_.content_type = OneLine({value.data(), value.size()});
  }
  return true;
}

size_t HttpTransfer::OnBody(char* data, size_t, size_t size, void* self) noexcept {
  return static_cast<HttpTransfer*>(self)->TakeBody({data, size}) ? size : 0;
}

size_t HttpTransfer::OnHeader(char* data, size_t, size_t size, void* self) noexcept {
  return static_cast<HttpTransfer*>(self)->TakeHeader({data, size}) ? size : 0;
}

}  // namespace kvroute
