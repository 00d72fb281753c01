// Clients of every bad kind beside one that only wants its page.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "indexer/base/named_thread.h"
#include "indexer/telemetry/http_server.h"
#include "test/support/http_client.h"
#include "test/support/raw_connection.h"

namespace kvroute {
namespace {

using testing_support::HttpGet;
using testing_support::RawConnection;

constexpr size_t kLargePage = size_t{8} << 20;

class HttpServerClientsTest : public testing::Test {
 protected:
  void Start(HttpOptions options) {
    options.listen = "127.0.0.1:0";
    HttpServer::Pages pages;
    pages["/healthz"] = {.handler = [] { return HttpResponse{.body = "ok\n"}; }, .quick = true};
    pages["/large"].asked = [](const HttpCall&) {
      return HttpResponse{.body = std::string(kLargePage, 'x')};
    };
    pages["/shared"] = {.handler = [this] {
      ++made_;
      return HttpResponse{.body = std::string(kLargePage, 'x')};
    }};
    pages["/stuck"] = {.handler = [this] {
      ++stuck_;
      stuck_.notify_all();
      released_.wait(false);
      return HttpResponse{.body = "at last\n"};
    }};
    auto server = HttpServer::Start(options, std::move(pages));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void TearDown() override { Release(); }
  void Release() {
    released_ = true;
    released_.notify_all();
  }
  // A client that sends `bytes` and then neither sends nor reads.
  void AddClients(int count, const std::string& bytes) {
    for (int i = 0; i < count; ++i) {
      clients_.emplace_back(server_->port());
      ASSERT_TRUE(clients_.back().Send(bytes));
    }
  }

  std::atomic<bool> released_{false};
  std::atomic<int> stuck_{0}, made_{0};
  std::vector<RawConnection> clients_;
  std::unique_ptr<HttpServer> server_;
};

// One thread a connection, as the library before had it, answered the next client after 10 s.
TEST_F(HttpServerClientsTest, IdleSlowAndHalfOpenClientsDelayNobody) {
  Start({.threads = 1, .idle_timeout_s = 600});
  AddClients(100, "");
  AddClients(100, "GET /healthz HT");
  AddClients(100, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");  // keep-alive, idle then
  for (int i = 0; i < 10; ++i) EXPECT_EQ(HttpGet(server_->port(), "/healthz").status, 200);
  EXPECT_EQ(server_->Evicted(), 0u);
}

TEST_F(HttpServerClientsTest, APageThatTakesLongDelaysNoProbe) {
  Start({.threads = 1});
  AddClients(3, "GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n");
  stuck_.wait(0);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(HttpGet(server_->port(), "/healthz").status, 200);
  Release();
  EXPECT_THAT(clients_[2].ReadUntil("at last\n"), testing::HasSubstr("HTTP/1.1 200"));
}

TEST_F(HttpServerClientsTest, WhoComesBeyondTheLimitTakesThePlaceOfTheOldest) {
  Start({.idle_timeout_s = 600, .max_connections = 20});
  AddClients(200, "GET /hea");
  for (int i = 0; i < 10; ++i) EXPECT_EQ(HttpGet(server_->port(), "/healthz").status, 200);
  EXPECT_GE(server_->Evicted(), 180u);
  EXPECT_TRUE(clients_[0].ClosedByPeer());
}

TEST_F(HttpServerClientsTest, AnswersThatNobodyReadsAreBounded) {
  Start({.idle_timeout_s = 600, .max_unsent_bytes = 4 * kLargePage});
  AddClients(12, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  while (server_->Evicted() < 8) {  // four answers may lie unread
    EXPECT_EQ(HttpGet(server_->port(), "/healthz").status, 200);
  }
  EXPECT_EQ(HttpGet(server_->port(), "/healthz").status, 200);
  EXPECT_EQ(HttpGet(server_->port(), "/large").body.size(), kLargePage);
}

// Whoever asks for a page and does not read it, again and again, on as many connections as there
// may be: a scraper gets its page each time, and it is not made for each of them.
TEST_F(HttpServerClientsTest, AScraperGetsItsPageThroughAFloodOfUnreadOnes) {
  Start({.idle_timeout_s = 600, .max_connections = 30, .max_unsent_bytes = 2 * kLargePage});
  // One that keeps its connection, as a scraper does, loses it not once; others come in, too.
  RawConnection scraper(server_->port());
  const auto scrape = [&] {
    if (!scraper.Send("GET /shared HTTP/1.1\r\nHost: x\r\n\r\n")) return false;
    const std::string head = scraper.ReadUntil("\r\n\r\n");
    const size_t left = kLargePage - (head.size() - head.find("\r\n\r\n") - 4);
    return scraper.Read(left).size() == left;
  };
  ASSERT_TRUE(scrape());
  std::atomic<bool> stop{false};
  std::atomic<int> asked{0};
  std::vector<NamedThread> flood;
  for (int i = 0; i < 2; ++i) {
    flood.emplace_back("flood", [&] {
      std::vector<std::optional<RawConnection>> unread(40);
      for (size_t next = 0; !stop; next = (next + 1) % unread.size()) {
        unread[next].reset();
        auto connection = RawConnection::Try(server_->port(), std::chrono::milliseconds(500));
        if (!connection.has_value()) continue;
        unread[next].emplace(*std::move(connection));
        asked += unread[next]->Send("GET /shared HTTP/1.1\r\nHost: x\r\n\r\n") ? 1 : 0;
      }
    });
  }
  while (server_->Evicted() < 50) std::this_thread::yield();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(scrape()) << i;
  int tries = 0;
  while (HttpGet(server_->port(), "/shared").body.size() != kLargePage && tries < 100) ++tries;
  EXPECT_LT(tries, 100);
  stop = true;
  flood.clear();
  EXPECT_LT(made_, asked);
}

TEST_F(HttpServerClientsTest, APageIsMadeOnceForAllThatWaitForIt) {
  Start({.threads = 1, .idle_timeout_s = 600});
  AddClients(1, "GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n");
  stuck_.wait(0);
  AddClients(5, "GET /shared HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  // The thread that has the connections has seen the five requests when it has answered these.
  for (int i = 0; i < 3; ++i) EXPECT_EQ(HttpGet(server_->port(), "/healthz").status, 200);
  Release();
  for (auto client = clients_.begin() + 1; client != clients_.end(); ++client) {
    EXPECT_THAT(client->ReadUntil("HTTP/1.1 200"), testing::HasSubstr("200"));
  }
  EXPECT_EQ(made_, 1);
}

TEST_F(HttpServerClientsTest, EndsWhileClientsWaitAndDoNotRead) {
  Start({.threads = 1, .idle_timeout_s = 600});
  AddClients(3, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  AddClients(2, "GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n");
  stuck_.wait(0);
  Release();
  server_.reset();
  for (RawConnection& client : clients_) EXPECT_TRUE(client.ClosedByPeer());
}

}  // namespace
}  // namespace kvroute
