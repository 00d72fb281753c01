#include "test/support/fake_http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "indexer/base/check.h"

namespace kvroute::testing_support {
namespace {

bool IsV6(const std::string& address) { return address.find(':') != std::string::npos; }

int ListeningAt(const FakeHttpServer::Options& options, int* port) {
  const int on = 1;
  if (options.address.starts_with('/')) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    KVROUTE_CHECK(options.address.size() < sizeof(address.sun_path));
    std::strcpy(address.sun_path, options.address.c_str());
    KVROUTE_CHECK(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    KVROUTE_CHECK(listen(fd, 512) == 0);
    return fd;
  }
  const bool v6 = IsV6(options.address);
  const int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_storage storage{};
  socklen_t size = v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  storage.ss_family = v6 ? AF_INET6 : AF_INET;
  auto* const ipv4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* const ipv6 = reinterpret_cast<sockaddr_in6*>(&storage);
  void* const bytes = v6 ? static_cast<void*>(&ipv6->sin6_addr) : &ipv4->sin_addr;
  KVROUTE_CHECK(inet_pton(storage.ss_family, options.address.c_str(), bytes) == 1);
  (v6 ? ipv6->sin6_port : ipv4->sin_port) = htons(static_cast<uint16_t>(options.port));
  auto* const generic = reinterpret_cast<sockaddr*>(&storage);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  KVROUTE_CHECK(bind(fd, generic, size) == 0);
  KVROUTE_CHECK(listen(fd, 512) == 0);
  KVROUTE_CHECK(getsockname(fd, generic, &size) == 0);
  *port = ntohs(v6 ? ipv6->sin6_port : ipv4->sin_port);
  return fd;
}

SSL_CTX* TlsOf(const FakeHttpServer::Options& options) {
  if (options.certificate_file.empty()) return nullptr;
  SSL_CTX* const tls = SSL_CTX_new(TLS_server_method());
  KVROUTE_CHECK(SSL_CTX_use_certificate_chain_file(tls, options.certificate_file.c_str()) == 1);
  KVROUTE_CHECK(SSL_CTX_use_PrivateKey_file(tls, options.key_file.c_str(), SSL_FILETYPE_PEM) == 1);
  if (!options.client_ca_file.empty()) {
    KVROUTE_CHECK(SSL_CTX_load_verify_locations(tls, options.client_ca_file.c_str(), nullptr) == 1);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return tls;
}

}  // namespace

std::string FakeHttpExchange::Header(std::string_view name) const {
  std::string_view rest = headers_;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find("\r\n"));
    rest.remove_prefix(std::min(rest.size(), line.size() + 2));
    const size_t colon = line.find(':');
    if (colon != name.size()) continue;
    if (!std::equal(name.begin(), name.end(), line.begin(), [](char a, char b) {
          return absl::ascii_tolower(a) == absl::ascii_tolower(b);
        })) {
      continue;
    }
    std::string value(line.substr(colon + 1));
    absl::StripAsciiWhitespace(&value);
    return value;
  }
  return "";
}

bool FakeHttpExchange::Send(std::string_view bytes) {
  while (open_ && !bytes.empty()) {
    const ssize_t sent = ssl_ != nullptr
                             ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                             : send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) open_ = false;
    if (sent > 0) bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return open_;
}

void FakeHttpExchange::Reply(int status, std::string_view text, std::string_view content_type) {
  std::string reply = "HTTP/1.1 " + std::to_string(status) + " Some\r\nContent-Type: ";
  reply.append(content_type).append("\r\nContent-Length: ");
  reply.append(std::to_string(text.size())).append("\r\n\r\n");
  if (method != "HEAD") reply.append(text);
  Send(reply);
}

bool FakeHttpExchange::BeginChunked(int status) {
  return Send("HTTP/1.1 " + std::to_string(status) +
              " Some\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
}

bool FakeHttpExchange::Chunk(std::string_view bytes) {
  std::array<char, 32> size;
  std::snprintf(size.data(), size.size(), "%zx\r\n", bytes.size());
  return Send(std::string(size.data()).append(bytes).append("\r\n"));
}

void FakeHttpExchange::Reset() {
  const linger none{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
  open_ = false;
}

void FakeHttpExchange::AwaitClosed() {
  while (open_ && ReadMore()) {
  }
}

bool FakeHttpExchange::ReadMore() {
  std::array<char, 16'384> buffer;
  const ssize_t got = ssl_ != nullptr ? SSL_read(ssl_, buffer.data(), buffer.size())
                                      : recv(fd_, buffer.data(), buffer.size(), 0);
  if (got <= 0) {
    open_ = false;
    return false;
  }
  input_.append(buffer.data(), static_cast<size_t>(got));
  return true;
}

bool FakeHttpExchange::ReadRequest() {
  size_t end = 0;
  while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
    if (!ReadMore()) return false;
  }
  const std::string head = input_.substr(0, end + 2);
  input_.erase(0, end + 4);
  const size_t line = head.find("\r\n");
  const size_t first = head.find(' '), second = head.find(' ', first + 1);
  method = head.substr(0, first);
  target = head.substr(first + 1, second - first - 1);
  headers_ = head.substr(line + 2);
  size_t length = 0;
  const std::string announced = Header("content-length");
  KVROUTE_CHECK(announced.empty() || absl::SimpleAtoi(announced, &length));
  while (input_.size() < length) {
    if (!ReadMore()) return false;
  }
  body = input_.substr(0, length);
  input_.erase(0, length);
  return true;
}

FakeHttpServer::FakeHttpServer(const Options& options, Handler handler)
    : options_(options), handler_(std::move(handler)), tls_(TlsOf(options)) {
  listener_ = ListeningAt(options, &port_);
  accepting_ = NamedThread("fake-http", [this] { Accept(); });
}

FakeHttpServer::~FakeHttpServer() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  shutdown(listener_, SHUT_RDWR);
  accepting_.Join();
  close(listener_);
  CloseConnections();
  std::vector<NamedThread> threads;
  {
    MutexLock lock(&mutex_);
    threads.swap(threads_);
  }
  for (NamedThread& thread : threads) thread.Join();
  if (tls_ != nullptr) SSL_CTX_free(tls_);
  if (options_.address.starts_with('/')) unlink(options_.address.c_str());
}

std::string FakeHttpServer::Url(std::string_view path) const {
  const std::string host = IsV6(options_.address)              ? "[" + options_.address + "]"
                           : options_.address.starts_with('/') ? "localhost"
                                                               : options_.address;
  return std::string(tls_ != nullptr ? "https://" : "http://") + host + ":" +
         std::to_string(port_ == 0 ? 80 : port_) + std::string(path);
}

void FakeHttpServer::CloseConnections() {
  MutexLock lock(&mutex_);
  for (const int fd : open_) shutdown(fd, SHUT_RDWR);
}

void FakeHttpServer::Accept() {
  while (true) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    ++connections_;
    MutexLock lock(&mutex_);
    if (ending_) {
      close(fd);
      return;
    }
    open_.push_back(fd);
    threads_.emplace_back("fake-http-conn", [this, fd] { Serve(fd); });
  }
}

void FakeHttpServer::Serve(int fd) {
  sigset_t pipe;  // which OpenSSL's writes raise
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  SSL* ssl = nullptr;
  bool good = true;
  if (tls_ != nullptr) {
    ssl = SSL_new(tls_);
    SSL_set_fd(ssl, fd);
    good = SSL_accept(ssl) == 1;
  }
  {
    FakeHttpExchange exchange(fd, ssl);
    while (good && exchange.open_ && exchange.ReadRequest()) handler_(&exchange);
  }
  if (ssl != nullptr) SSL_free(ssl);
  MutexLock lock(&mutex_);
  std::erase(open_, fd);
  close(fd);
}

TestCertificates::TestCertificates()
    : folder([] {
        std::string name = (std::filesystem::temp_directory_path() / "kvroute-tls-XXXXXX").string();
        KVROUTE_CHECK(mkdtemp(name.data()) != nullptr);
        return name;
      }()),
      ca_file(folder + "/ca.pem"),
      certificate_file(folder + "/cert.pem"),
      key_file(folder + "/key.pem") {
  const auto run = [&](const std::string& arguments) {
    const std::string command = "cd " + folder + " && openssl " + arguments + " >>openssl.log 2>&1";
    KVROUTE_CHECK(std::system(command.c_str()) == 0);
  };
  const std::string key = " -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes ";
  run("req -x509 -days 30 -subj /CN=test-ca -keyout ca-key.pem -out ca.pem" + key);
  run("req -subj /CN=localhost -keyout key.pem -out request.pem" + key);
  run("x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 30 -out "
      "cert.pem -extfile /dev/stdin "
      "<<'END'\nsubjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nEND\n"
      "true");
}

TestCertificates::~TestCertificates() { std::filesystem::remove_all(folder); }

}  // namespace kvroute::testing_support
