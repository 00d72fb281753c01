#include <chrono>
#include <iterator>
#include <optional>

#include "test/storm/attack.h"
#include "test/support/http2_connection.h"
#include "test/support/raw_connection.h"

namespace kvroute {
namespace {

using testing_support::Http2Connection;
using testing_support::RawConnection;

// A server that is under attack by others too may not take a connection: then there is one less.
constexpr std::chrono::milliseconds kPatience{500};

// Connects and sends, as far as the peer takes it.
std::optional<RawConnection> Open(int port, std::string_view bytes) {
  std::optional<RawConnection> connection = RawConnection::Try(port, kPatience);
  if (connection.has_value()) connection->Send(bytes);
  return connection;
}

class ConnectionAttack : public Attack {
 public:
  ConnectionAttack(const AttackedServer& server, std::string_view name)
      : server_(server), name_(name) {}
  std::string_view name() const override { return name_; }

 protected:
  const AttackedServer server_;

 private:
  const std::string_view name_;
};

// Hundreds of connections that say nothing, or only the beginning of something.
class HeldConnections : public ConnectionAttack {
 public:
  HeldConnections(const AttackedServer& server, std::string_view name, int port, int count,
                  std::string beginning)
      : ConnectionAttack(server, name),
        port_(port),
        count_(count),
        beginning_(std::move(beginning)) {}

  void Strike(std::mt19937_64*) override {
    std::vector<std::optional<RawConnection>> held;
    for (int i = 0; i < count_; ++i) held.push_back(Open(port_, beginning_));
    server_.hold();
  }

 private:
  const int port_;
  const int count_;
  const std::string beginning_;
};

// Asks for pages without end and reads none of them. What the server's buffers take is bounded by
// the requests' number.
class UnreadPages : public ConnectionAttack {
 public:
  using ConnectionAttack::ConnectionAttack;

  void Strike(std::mt19937_64*) override {
    std::string requests;
    for (int i = 0; i < 200; ++i) {
      requests += "GET /metrics HTTP/1.1\r\nHost: storm\r\n\r\n";
    }
    std::vector<std::optional<RawConnection>> held;
    for (int i = 0; i < 4; ++i) held.push_back(Open(server_.http_port, requests));
    server_.hold();
  }
};

class Garbage : public ConnectionAttack {
 public:
  using ConnectionAttack::ConnectionAttack;

  void Strike(std::mt19937_64* random) override {
    for (int i = 0; i < 40; ++i) {
      Open(server_.http_port, RandomBytes(random, (*random)() % 2'000));
      Open(server_.grpc_port, RandomBytes(random, (*random)() % 2'000));
      auto frames = Http2Connection::Try(server_.grpc_port, kPatience);
      if (!frames.has_value()) continue;
      for (int frame = 0; frame < 20; ++frame) {
        const auto type = static_cast<uint8_t>((*random)() % 12);
        const auto flags = static_cast<uint8_t>((*random)());
        frames->Frame(type, flags, static_cast<uint32_t>((*random)() % 8),
                      RandomBytes(random, (*random)() % 300));
      }
      frames->Flush();
    }
  }
};

// Begins calls and ends them at once, faster than anything can serve them.
class RapidReset : public ConnectionAttack {
 public:
  using ConnectionAttack::ConnectionAttack;

  void Strike(std::mt19937_64* random) override {
    auto connection = Http2Connection::Try(server_.grpc_port, kPatience);
    if (!connection.has_value()) return;
    const std::string_view path =
        (*random)() % 2 == 0 ? "/kvroute.v1.Router/Score" : "/storm.NoSuch/Method";
    uint32_t call = 1;
    for (int burst = 0; burst < 40; ++burst) {
      for (const uint32_t end = call + 1'000; call < end; call += 2) {
        connection->Headers(call, path).Reset(call);
      }
      if (!connection->Flush()) break;
    }
    server_.hold();
  }
};

// A client whose window is closed: no answer can be written to it.
class ClosedWindow : public ConnectionAttack {
 public:
  using ConnectionAttack::ConnectionAttack;

  void Strike(std::mt19937_64* random) override {
    constexpr std::string_view kPaths[] = {
        "/kvroute.v1.Router/Score", "/kvroute.v1.Fleet/List", "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"};
    const std::string_view path = kPaths[(*random)() % std::size(kPaths)];
    auto connection = Http2Connection::Try(server_.grpc_port, kPatience, 0);
    if (!connection.has_value()) return;
    for (uint32_t call = 1; call < 2'200; call += 2)
      connection->Headers(call, path).Message(call, "");
    connection->Flush();
    server_.hold();
  }
};

// Messages that are none, or whose texts are no UTF-8.
class BadRequests : public ConnectionAttack {
 public:
  using ConnectionAttack::ConnectionAttack;

  void Strike(std::mt19937_64* random) override {
    constexpr std::string_view kPaths[] = {"/kvroute.v1.Router/Route", "/kvroute.v1.Router/Score",
                                           "/kvroute.v1.Router/Complete",
                                           "/kvroute.v1.Fleet/Register"};
    auto connection = Http2Connection::Try(server_.grpc_port, kPatience);
    if (!connection.has_value()) return;
    for (uint32_t call = 1; call < 400; call += 2) {
      const std::string text = RandomBytes(random, (*random)() % 100);
      std::string message = '\x0a' + std::string(1, static_cast<char>(text.size())) + text;
      if ((*random)() % 2 == 0) message = text;
      connection->Headers(call, kPaths[(*random)() % std::size(kPaths)]).Message(call, message);
    }
    connection->Flush();
    server_.hold();
  }
};

// Messages that claim to be compressed, and pings without end beside them.
class CompressedAndPings : public ConnectionAttack {
 public:
  using ConnectionAttack::ConnectionAttack;

  void Strike(std::mt19937_64*) override {
    auto connection = Http2Connection::Try(server_.grpc_port, kPatience);
    if (!connection.has_value()) return;
    const std::string message(16'000, '\0');
    for (uint32_t call = 1; call < 100; call += 2) {
      connection->Headers(call, "/kvroute.v1.Router/Score").Message(call, message, true);
      for (int ping = 0; ping < 100; ++ping) connection->Ping();
    }
    connection->Flush();
    server_.hold();
  }
};

}  // namespace

void AddConnectionAttacks(const AttackedServer& server, Attacks* attacks) {
  attacks->push_back(std::make_unique<HeldConnections>(server, "silent HTTP connections",
                                                       server.http_port, 200, ""));
  attacks->push_back(std::make_unique<HeldConnections>(
      server, "half HTTP requests", server.http_port, 100, "GET /metrics HTTP/1.1\r\nX-Storm: "));
  attacks->push_back(std::make_unique<HeldConnections>(server, "silent gRPC connections",
                                                       server.grpc_port, 400, ""));
  attacks->push_back(std::make_unique<HeldConnections>(
      server, "half HTTP/2 connections", server.grpc_port, 100, "PRI * HTTP/2.0\r\n\r\n"));
  attacks->push_back(std::make_unique<UnreadPages>(server, "unread pages"));
  attacks->push_back(std::make_unique<Garbage>(server, "garbage"));
  attacks->push_back(std::make_unique<RapidReset>(server, "rapid reset"));
  attacks->push_back(std::make_unique<ClosedWindow>(server, "closed window"));
  attacks->push_back(std::make_unique<BadRequests>(server, "bad requests"));
  attacks->push_back(std::make_unique<CompressedAndPings>(server, "compressed calls and pings"));
}

}  // namespace kvroute
