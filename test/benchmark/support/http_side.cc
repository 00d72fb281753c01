#include "test/benchmark/support/http_side.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"

namespace kvroute {
namespace {

using std::chrono::steady_clock;

constexpr size_t kReadBytes = size_t{256} << 10;
constexpr std::string_view kJson =
    R"({"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"content":"ok"}}],)"
    R"("usage":{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":8}}})";
constexpr std::string_view kEventText =
    R"(data: {"id":"chatcmpl-0123456789abcdef","object":"chat.completion.chunk","created":1700000000,)"
    R"("model":"m","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]})"
    "\n\n";

std::string Chunk(std::string_view text) {
  return absl::StrCat(absl::Hex(text.size()), "\r\n", absl::string_view(text.data(), text.size()),
                      "\r\n");
}

sockaddr_in AddressOf(uint32_t host, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(host);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}
const sockaddr* Generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

void Watch(int epoll, int fd, uint32_t events, void* of, int how = EPOLL_CTL_ADD) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = of;
  KVROUTE_CHECK(epoll_ctl(epoll, how, fd, &event) == 0);
}

void NoDelay(int fd) {
  const int on = 1;
  KVROUTE_CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
}

void WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      KVROUTE_CHECK(errno == EAGAIN || errno == EPIPE || errno == ECONNRESET);
      if (errno != EAGAIN) return;
      continue;
    }
    text.remove_prefix(static_cast<size_t>(sent));
  }
}

// What has come; false: the other end has closed.
bool ReadSome(int fd, std::string_view* bytes) {
  thread_local std::array<char, kReadBytes> memory;
  const ssize_t got = recv(fd, memory.data(), memory.size(), MSG_DONTWAIT);
  *bytes = {memory.data(), got > 0 ? static_cast<size_t>(got) : 0};
  return got > 0 || (got < 0 && errno == EAGAIN);
}

}  // namespace

// Tells where an HTTP/1.1 message ends, of which only its head and its last bytes are kept. None
// follows another before that was answered.
class HttpMessageEnd {
 public:
  // True: it is whole.
  bool Take(std::string_view bytes) {
    if (!has_head_) {
      head_.append(bytes);
      const size_t end = head_.find("\r\n\r\n");
      if (end == std::string::npos) return false;
      has_head_ = true;
      const std::string body = head_.substr(end + 4);
      head_.resize(end + 2);
      std::transform(head_.begin(), head_.end(), head_.begin(),
                     [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c; });
      chunked_ = Header("transfer-encoding").ends_with("chunked");
      (void)absl::SimpleAtoi(std::string(Header("content-length")), &left_);
      return TakeBody(body);
    }
    return TakeBody(bytes);
  }
  void Clear() { *this = HttpMessageEnd(); }
  std::string_view head() const { return head_; }
  std::string_view Header(std::string_view name) const {
    const std::string wanted =
        absl::StrCat("\r\n", absl::string_view(name.data(), name.size()), ":");
    size_t at = head_.find(wanted);
    if (at == std::string::npos) return {};
    at = head_.find_first_not_of(' ', at + wanted.size());
    return std::string_view(head_).substr(at, head_.find("\r\n", at) - at);
  }

 private:
  bool TakeBody(std::string_view bytes) {
    if (!chunked_) {
      left_ -= std::min(left_, bytes.size());
      return left_ == 0;
    }
    constexpr std::string_view kLast = "0\r\n\r\n";
    last_.append(bytes.substr(bytes.size() - std::min(bytes.size(), kLast.size())));
    if (last_.size() > kLast.size()) last_.erase(0, last_.size() - kLast.size());
    return last_ == kLast;
  }

  std::string head_, last_;
  size_t left_ = 0;
  bool has_head_ = false;
  bool chunked_ = false;
};

struct FakeEngines::Connection {
  int fd = -1;
  std::string engine;
  HttpMessageEnd request;
  int events_left = 0;
};

FakeEngines::FakeEngines() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in any = AddressOf(INADDR_ANY, 0);
  sockaddr_in bound{};
  socklen_t size = sizeof bound;
  KVROUTE_CHECK(bind(listener_, Generic(any), sizeof any) == 0 && listen(listener_, 1'024) == 0);
  KVROUTE_CHECK(getsockname(listener_, reinterpret_cast<sockaddr*>(&bound), &size) == 0);
  port_ = ntohs(bound.sin_port);
  Watch(epoll_, listener_, EPOLLIN, nullptr);
  thread_ = NamedThread("engines", [this] { Serve(); });
}

FakeEngines::~FakeEngines() {
  ending_ = true;
  thread_.Join();
  close(listener_);
  close(epoll_);
}

void FakeEngines::Serve() {
  auto next_tick = steady_clock::now() + kEventEvery;
  while (!ending_) {
    timespec used{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    thread_ns_ = int64_t{used.tv_sec} * 1'000'000'000 + used.tv_nsec;
    std::array<epoll_event, 64> events;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_tick - steady_clock::now());
    const int count = epoll_wait(epoll_, events.data(), events.size(),
                                 static_cast<int>(std::max<int64_t>(left.count(), 0)));
    for (int i = 0; i < count; ++i) {
      if (events[static_cast<size_t>(i)].data.ptr != nullptr) {
        Take(static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr));
        continue;
      }
      sockaddr_in own{};
      socklen_t size = sizeof own;
      auto* const connection = new Connection;
      connection->fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      KVROUTE_CHECK(getsockname(connection->fd, reinterpret_cast<sockaddr*>(&own), &size) == 0);
      connection->engine = absl::StrCat(inet_ntoa(own.sin_addr), ":", port_);
      NoDelay(connection->fd);
      Watch(epoll_, connection->fd, EPOLLIN, connection);
    }
    if (steady_clock::now() < next_tick) continue;
    Tick();
    next_tick += kEventEvery;
  }
}

void FakeEngines::Take(Connection* connection) {
  std::string_view bytes;
  if (!ReadSome(connection->fd, &bytes)) return Close(connection);
  if (!connection->request.Take(bytes)) return;
  const bool streams = connection->request.head().find(" /stream ") != std::string_view::npos;
  const bool asks_metrics = connection->request.head().starts_with("get /metrics ");
  connection->request.Clear();
  const std::string head =
      absl::StrCat("HTTP/1.1 200 OK\r\nx-engine: ", connection->engine, "\r\n");
  if (asks_metrics) {
    const std::string& page = MetricsPage();
    WriteAll(connection->fd, absl::StrCat(head, "content-type: text/plain\r\ncontent-length: ",
                                          page.size(), "\r\n\r\n", page));
    return;
  }
  if (!streams) {
    WriteAll(connection->fd,
             absl::StrCat(head, "content-type: application/json\r\ncontent-length: ", kJson.size(),
                          "\r\n\r\n", absl::string_view(kJson.data(), kJson.size())));
    return;
  }
  connection->events_left = events_;
  streaming_.push_back(connection);
  WriteAll(connection->fd, absl::StrCat(head, "content-type: text/event-stream\r\n",
                                        "transfer-encoding: chunked\r\n\r\n"));
}

void FakeEngines::Tick() {
  for (Connection* const connection : streaming_) {
    WriteAll(connection->fd, Chunk(kEventText));
    if (--connection->events_left == 0) WriteAll(connection->fd, "0\r\n\r\n");
  }
  std::erase_if(streaming_, [](const Connection* each) { return each->events_left == 0; });
}

void FakeEngines::Close(Connection* connection) {
  std::erase(streaming_, connection);
  close(connection->fd);
  delete connection;
}

// Some 25 KB, most of it histograms.
const std::string& FakeEngines::MetricsPage() {
  static const std::string page = [] {
    const char kLabels[] = R"({engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct"})";
    std::string text;
    for (const char* gauge :
         {"num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"}) {
      absl::StrAppend(&text, "# HELP vllm:", gauge, " Of the engine.\n# TYPE vllm:", gauge,
                      " gauge\nvllm:", gauge, kLabels, " 0.25\n");
    }
    absl::StrAppend(&text, R"(vllm:cache_config_info{engine="0",num_gpu_blocks="9000"})", " 1.0\n");
    for (int histogram = 0; histogram < 12; ++histogram) {
      absl::StrAppend(&text, "# HELP vllm:histogram_", histogram, " Of something.\n");
      for (int bucket = 0; bucket < 18; ++bucket) {
        absl::StrAppend(&text, "vllm:histogram_", histogram, R"(_bucket{engine="0",le=")", bucket,
                        R"(",model_name="meta-llama/Llama-3.1-8B-Instruct"} )", bucket * 17,
                        ".0\n");
      }
    }
    return text;
  }();
  return page;
}

struct HttpClients::Connection {
  size_t number = 0;
  int fd = -1;
  std::string out;     // not sent yet
  bool waits = false;  // to send it
  HttpMessageEnd answer;
  Time began;  // first byte of the answer
  bool has_begun = false;
};

HttpClients::HttpClients(int port, size_t connections) : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  for (size_t i = 0; i < connections; ++i) {
    auto& connection = *connections_.emplace_back(std::make_unique<Connection>());
    connection.number = i;
    connection.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in gateway = AddressOf(INADDR_LOOPBACK, port);
    KVROUTE_CHECK(connect(connection.fd, Generic(gateway), sizeof gateway) == 0);
    KVROUTE_CHECK(fcntl(connection.fd, F_SETFL, O_NONBLOCK) == 0);
    NoDelay(connection.fd);
    Watch(epoll_, connection.fd, EPOLLIN, &connection);
  }
}

HttpClients::~HttpClients() {
  for (const auto& connection : connections_) close(connection->fd);
  close(epoll_);
}

void HttpClients::Ask(size_t number, std::string_view path, std::string_view body) {
  Connection* const connection = connections_[number].get();
  connection->out = absl::StrCat(
      "POST ", absl::string_view(path.data(), path.size()),
      " HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n",
      "authorization: Bearer sk-0123456789abcdef0123456789abcdef\r\ncontent-length: ", body.size(),
      "\r\n\r\n", absl::string_view(body.data(), body.size()));
  connection->has_begun = false;
  connection->answer.Clear();
  Send(connection);
}

void HttpClients::Send(Connection* connection) {
  const ssize_t sent =
      send(connection->fd, connection->out.data(), connection->out.size(), MSG_NOSIGNAL);
  KVROUTE_CHECK(sent >= 0 || errno == EAGAIN);
  if (sent > 0) connection->out.erase(0, static_cast<size_t>(sent));
  const bool waits = !connection->out.empty();
  if (std::exchange(connection->waits, waits) == waits) return;
  Watch(epoll_, connection->fd, waits ? uint32_t{EPOLLIN | EPOLLOUT} : uint32_t{EPOLLIN},
        connection, EPOLL_CTL_MOD);
}

bool HttpClients::Take(Connection* connection) {
  std::string_view bytes;
  KVROUTE_CHECK(ReadSome(connection->fd, &bytes));
  if (bytes.empty()) return false;
  if (!connection->has_begun) connection->began = steady_clock::now();
  connection->has_begun = true;
  return connection->answer.Take(bytes);
}

std::optional<HttpClients::Answer> HttpClients::Next(Time until) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady_clock::now());
    epoll_event event{};
    if (epoll_wait(epoll_, &event, 1, static_cast<int>(std::max<int64_t>(left.count(), 0))) == 0) {
      return std::nullopt;
    }
    auto* const connection = static_cast<Connection*>(event.data.ptr);
    if ((event.events & EPOLLOUT) != 0) Send(connection);
    if ((event.events & EPOLLIN) == 0 || !Take(connection)) continue;
    KVROUTE_CHECK(connection->answer.head().starts_with("http/1.1 200"));
    return Answer{connection->number, connection->answer.Header("x-engine"), connection->began};
  }
}

}  // namespace kvroute
