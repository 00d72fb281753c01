#include "indexer/telemetry/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/support/http_client.h"

namespace kvroute {
namespace {

using testing::HasSubstr;
using testing_support::HttpGet;
using testing_support::HttpReply;
using testing_support::HttpRequest;
using testing_support::SendRaw;

HttpServer::Pages TestPages() {
  HttpServer::Pages pages;
  pages["/ok"] = {.handler = [] { return HttpResponse{.body = "fine\n"}; }};
  pages["/busy"] = {.handler = [] { return HttpResponse{.status = 503, .body = "not yet\n"}; },
                    .quick = true};
  pages["/throws"] = {.handler = []() -> HttpResponse { throw std::runtime_error("no memory"); }};
  return pages;
}

std::unique_ptr<HttpServer> StartServer() {
  auto server = HttpServer::Start({.listen = "127.0.0.1:0"}, TestPages());
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

TEST(HttpServerTest, AnswersItsPagesAndCountsThem) {
  const auto server = StartServer();
  ASSERT_GT(server->port(), 0);
  const HttpReply ok = HttpGet(server->port(), "/ok");
  EXPECT_EQ(ok.status, 200);
  EXPECT_EQ(ok.body, "fine\n");
  EXPECT_THAT(ok.headers, HasSubstr("Content-Type: text/plain; charset=utf-8"));
  EXPECT_EQ(HttpGet(server->port(), "/ok?x=1").body, "fine\n");
  EXPECT_EQ(HttpGet(server->port(), "/busy").status, 503);
  EXPECT_EQ(HttpGet(server->port(), "/throws").status, 500);
  EXPECT_EQ(server->Answered(200), 2u);
  EXPECT_EQ(server->Answered(503), 1u);
  EXPECT_EQ(server->Answered(500), 1u);
}

TEST(HttpServerTest, OtherPathsAndMethodsAreRefusedAndFilesAreNeverServed) {
  const auto server = StartServer();
  for (const char* path : {"/", "/nothing", "/etc/passwd", "/../../etc/passwd", "/ok/"}) {
    EXPECT_EQ(HttpGet(server->port(), path).status, 404) << path;
  }
  EXPECT_THAT(HttpGet(server->port(), "/").body, HasSubstr("/ok"));
  for (const char* method : {"POST", "PUT", "DELETE"}) {
    const HttpReply reply = HttpRequest(server->port(), method, "/ok");
    EXPECT_EQ(reply.status, 405) << method;
    EXPECT_THAT(reply.headers, HasSubstr("Allow: GET, HEAD"));
  }
}

TEST(HttpServerTest, AnswersHeadWithTheLengthAndWithoutTheBody) {
  const auto server = StartServer();
  const HttpReply reply = HttpRequest(server->port(), "HEAD", "/ok");
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.headers, HasSubstr("Content-Length: 5"));
  EXPECT_EQ(reply.body, "");
}

TEST(HttpServerTest, GarbageAndOversizedRequestsCostOnlyTheirConnection) {
  const auto server = StartServer();
  SendRaw(server->port(), "\x01\x02\xff\r\n\r\n");
  SendRaw(server->port(), "GET\r\n\r\n");
  const std::string huge =
      absl::StrCat("GET /ok HTTP/1.1\r\nX: ", std::string(1 << 20, 'a'), "\r\n\r\n");
  EXPECT_EQ(SendRaw(server->port(), huge).find("HTTP/1.1 200"), std::string::npos);
  EXPECT_EQ(HttpGet(server->port(), "/ok").status, 200);
}

TEST(HttpServerTest, ServesManyClientsAtOnce) {
  const auto server = StartServer();
  std::vector<std::thread> clients;
  std::atomic<int> good{0};
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      for (int j = 0; j < 25; ++j) good += HttpGet(server->port(), "/ok").status == 200 ? 1 : 0;
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(good.load(), 200);
  EXPECT_EQ(server->Answered(200), 200u);
}

// How long an idle server takes to end.
std::chrono::nanoseconds TimeToEnd(const char* listen) {
  auto server = HttpServer::Start({.listen = listen}, TestPages());
  EXPECT_TRUE(server.ok()) << server.status();
  if (!server.ok()) return std::chrono::nanoseconds::max();
  EXPECT_EQ(HttpGet((*server)->port(), "/ok").status, 200);
  const auto start = std::chrono::steady_clock::now();
  server->reset();
  return std::chrono::steady_clock::now() - start;
}

TEST(HttpServerTest, EndsAtOnceAlsoWhenIdle) {
  for (const char* listen : {"127.0.0.1:0", "0.0.0.0:0"}) {
    // A server that waits for a timeout is slow every time, a busy machine only now and then.
    auto fastest = std::chrono::nanoseconds::max();
    for (int i = 0; i < 10 && fastest >= std::chrono::milliseconds(1'500); ++i) {
      fastest = std::min(fastest, TimeToEnd(listen));
    }
    EXPECT_LT(fastest, std::chrono::milliseconds(1'500)) << listen;
  }
}

TEST(HttpServerTest, AnAddressThatCannotBeUsedIsAnErrorThatNamesIt) {
  const auto server = StartServer();
  const std::string taken = absl::StrCat("127.0.0.1:", server->port());
  const auto second = HttpServer::Start({.listen = taken}, TestPages());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(second.status().message(), HasSubstr(taken));
  const auto nonsense = HttpServer::Start({.listen = "nonsense"}, TestPages());
  EXPECT_FALSE(nonsense.ok());
  EXPECT_THAT(nonsense.status().message(), HasSubstr("nonsense"));
}

}  // namespace
}  // namespace kvroute
