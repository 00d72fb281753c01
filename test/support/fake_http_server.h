#ifndef KVROUTE_TEST_SUPPORT_FAKE_HTTP_SERVER_H_
#define KVROUTE_TEST_SUPPORT_FAKE_HTTP_SERVER_H_

#include <openssl/ssl.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "indexer/base/mutex.h"
#include "indexer/base/named_thread.h"

namespace kvroute::testing_support {

// One request as it came, and the connection it came on: what is sent is sent byte for byte.
// Thread safety: the handler's thread.
class FakeHttpExchange {
 public:
  std::string method;
  std::string target;  // path and query
  std::string body;

  // Of the first header of this name, in any case; empty: there is none.
  std::string Header(std::string_view name) const;

  // False: the client is gone.
  bool Send(std::string_view bytes);
  void Reply(int status, std::string_view body, std::string_view content_type = "text/plain");
  bool BeginChunked(int status = 200);
  bool Chunk(std::string_view bytes);
  bool EndChunked() { return Send("0\r\n\r\n"); }
  void Close() { open_ = false; }  // after the handler; what was sent arrives
  void Reset();                    // RST
  void AwaitClosed();              // until the client closes, or the server ends

 private:
  friend class FakeHttpServer;
  FakeHttpExchange(int fd, SSL* ssl) : fd_(fd), ssl_(ssl) {}
  bool ReadRequest();
  bool ReadMore();

  const int fd_;
  SSL* const ssl_;
  bool open_ = true;
  std::string input_;  // not taken yet
  std::string headers_;
};

// An HTTP server that does whatever its handler says, for tests of a client: half replies, resets,
// silence. A thread for each connection.
//
// Thread safety: every method from any thread; the handler runs on several.
class FakeHttpServer {
 public:
  struct Options {
    std::string address = "127.0.0.1";  // or "::1", or a path
    std::string certificate_file = {};  // PEM; empty: plain
    std::string key_file = {};
    std::string client_ca_file = {};  // asks for a certificate signed by it
    int port = 0;                     // 0: any
  };
  using Handler = std::function<void(FakeHttpExchange*)>;

  explicit FakeHttpServer(Handler handler) : FakeHttpServer(Options(), std::move(handler)) {}
  FakeHttpServer(const Options& options, Handler handler);
  ~FakeHttpServer();  // closes every connection
  FakeHttpServer(const FakeHttpServer&) = delete;
  FakeHttpServer& operator=(const FakeHttpServer&) = delete;

  int port() const { return port_; }
  std::string Url(std::string_view path) const;
  int connections() const { return connections_.load(); }  // ever
  void CloseConnections();                                 // those there are

 private:
  void Accept();
  void Serve(int fd);

  const Options options_;
  const Handler handler_;
  SSL_CTX* tls_ = nullptr;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> connections_{0};
  Mutex mutex_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<int> open_ ABSL_GUARDED_BY(mutex_);
  std::vector<NamedThread> threads_ ABSL_GUARDED_BY(mutex_);
  NamedThread accepting_;
};

// A CA, and a certificate of it for localhost, 127.0.0.1 and ::1, good for server and client; files
// in a folder that goes with the object.
class TestCertificates {
 public:
  TestCertificates();
  ~TestCertificates();

  const std::string folder;
  const std::string ca_file;
  const std::string certificate_file;
  const std::string key_file;
};

}  // namespace kvroute::testing_support

#endif  // KVROUTE_TEST_SUPPORT_FAKE_HTTP_SERVER_H_
