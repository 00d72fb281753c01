#include "indexer/telemetry/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
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

// A server that takes bodies of 10 bytes, 15 at a time.
class HttpServerBodyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    HttpServer::Pages pages;
    pages["/echo"].posted = [this](const HttpCall& call) {
      if (call.body == "wait") released_.wait(false);
      return HttpResponse{.body = absl::StrCat(std::string(call.content_type), "|",
                                               std::string(call.Argument("x")), "|",
                                               std::string(call.body))};
    };
    pages["/ask"].asked = [](const HttpCall& call) {
      return HttpResponse{.body = std::string(call.Argument("x"))};
    };
    auto server = HttpServer::Start({.listen = "127.0.0.1:0",
                                     .max_body_bytes = 10,
                                     .max_bodies_bytes = 15,
                                     .wrong_method = "no"},
                                    std::move(pages));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::string Post(const std::string& body, const char* path = "/echo?x=7") const {
    return SendRaw(server_->port(), PostOf(body, path));
  }
  static std::string PostOf(const std::string& body, const char* path = "/echo") {
    return absl::StrCat("POST ", path,
                        " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: a/b\r\n",
                        "Content-Length: ", body.size(), "\r\n\r\n", body);
  }

  std::atomic<bool> released_{false};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerBodyTest, HandsOverTheBodyItsTypeAndTheArguments) {
  EXPECT_THAT(Post("0123456789"), HasSubstr("a/b|7|0123456789"));
  EXPECT_THAT(Post(""), HasSubstr("a/b|7|"));
  const std::string chunked =
      "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  EXPECT_THAT(SendRaw(server_->port(), chunked), HasSubstr("||abcde"));
  EXPECT_EQ(HttpGet(server_->port(), "/ask?y=1&x=a%20b&x=2").body, "a b");
  EXPECT_THAT(SendRaw(server_->port(),
                      "GET /ask?x=7 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                      "Content-Length: 20\r\n\r\n01234567890123456789"),
              HasSubstr("\r\n\r\n7"))
      << "a body where nobody wants one is passed over";
}

TEST_F(HttpServerBodyTest, ALongerBodyIsRefusedAndItsSenderSeesWhy) {
  EXPECT_THAT(Post("0123456789a"), HasSubstr("HTTP/1.1 413"));
  EXPECT_THAT(Post(std::string(4 << 20, 'x')), HasSubstr("more than 10 bytes"));
  EXPECT_EQ(server_->Answered(413), 2u);
}

TEST_F(HttpServerBodyTest, AllBodiesTogetherAreBounded) {
  const int waiting = testing_support::SendAndKeep(server_->port(), PostOf("wait"));
  const int half = testing_support::SendAndKeep(
      server_->port(), "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n01234567");
  // What those two hold leaves room for 3 bytes; that both have come is seen by when it does.
  while (Post("0123").find("HTTP/1.1 503") == std::string::npos) std::this_thread::yield();
  EXPECT_THAT(Post("012"), HasSubstr("HTTP/1.1 200"));
  close(half);
  while (Post("0123456789").find("HTTP/1.1 200") == std::string::npos) std::this_thread::yield();
  released_ = true;
  released_.notify_all();
  char buffer[16];
  EXPECT_GT(read(waiting, buffer, sizeof(buffer)), 0);
  close(waiting);
}

TEST_F(HttpServerBodyTest, OtherMethodsAndPathsAreRefusedWhateverIsSent) {
  EXPECT_THAT(Post("0123456789a", "/ask"), HasSubstr("Allow: GET, HEAD\r\n"));
  const HttpReply reply = HttpGet(server_->port(), "/echo");
  EXPECT_EQ(reply.status, 405);
  EXPECT_EQ(reply.body, "no");
  EXPECT_THAT(reply.headers, HasSubstr("Allow: POST"));
  EXPECT_THAT(Post("x", "/nothing"), HasSubstr("HTTP/1.1 404"));
}

}  // namespace
}  // namespace kvroute
