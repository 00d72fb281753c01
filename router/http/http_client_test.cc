#include "router/http/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "indexer/base/network_list.h"
#include "test/support/fake_http_server.h"
#include "test/support/http_asking.h"
#include "test/support/reserved_port.h"

namespace kvroute::testing_support {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class HttpClientTest : public testing::Test {
 protected:
  const std::unique_ptr<HttpClient> client_ = StartedHttpClient();
};

TEST_F(HttpClientTest, AReplyComesWhole) {
  FakeHttpServer server([](FakeHttpExchange* exchange) {
    exchange->Reply(201,
                    exchange->method + " " + exchange->target + " " + exchange->body + " " +
                        exchange->Header("X-Of-Ours") + exchange->Header("Expect"),
                    "application/json");
  });
  for (const char* method : {"GET", "POST", "PUT", "DELETE"}) {
    HttpRequest request = GetOf(server.Url("/a?b=c"));
    request.method = method;
    request.body = "body";
    request.headers = {"x-of-ours: 7"};
    const HttpReply reply = Ask(client_.get(), request);
    EXPECT_TRUE(reply.ok()) << reply.message;
    EXPECT_EQ(reply.status, 201);
    EXPECT_EQ(reply.content_type, "application/json");
    EXPECT_EQ(reply.body, std::string(method) + " /a?b=c body 7");
  }
  HttpRequest head = GetOf(server.Url("/"));
  head.method = "HEAD";
  EXPECT_EQ(Ask(client_.get(), head).status, 201);
  EXPECT_EQ(server.connections(), 1);  // kept alive
}

TEST_F(HttpClientTest, AHostOutsideOfTheNetworksIsNotConnectedTo) {
  FakeHttpServer server([](FakeHttpExchange* exchange) { exchange->Reply(200, "here"); });
  const NetworkList elsewhere = *NetworkList::Parse("10.0.0.0/8");
  const NetworkList here = *NetworkList::Parse("127.0.0.0/8");
  HttpRequest request = GetOf(server.Url("/"));
  request.networks = &elsewhere;
  HttpReply reply = Ask(client_.get(), request);
  EXPECT_EQ(reply.end, HttpEnd::kConnect);
  EXPECT_THAT(reply.message, HasSubstr("no address in registration.networks: 10.0.0.0/8"));
  const std::string port = request.url.substr(request.url.rfind(':'));
  for (const std::string host : {"localhost", "127.1", "2130706433"}) {  // as libcurl reads them
    request.url = "http://" + host + port;
    EXPECT_EQ(Ask(client_.get(), request).end, HttpEnd::kConnect) << host;
  }
  EXPECT_EQ(server.connections(), 0);
  request.networks = &here;
  EXPECT_EQ(Ask(client_.get(), request).body, "here");
}

TEST_F(HttpClientTest, AStatusIsTheAskersToJudge) {
  FakeHttpServer server([](FakeHttpExchange* exchange) {
    exchange->Reply(std::stoi(exchange->target.substr(1)), "why");
  });
  for (const int status : {204, 302, 404, 410, 500}) {
    std::string streamed;
    Asked asked(client_.get(), GetOf(server.Url("/" + std::to_string(status))),
                [&](std::string_view piece) { streamed += piece; });
    const HttpReply reply = asked.Wait();
    EXPECT_EQ(reply.end, HttpEnd::kReply) << reply.message;
    EXPECT_EQ(reply.status, status);
    EXPECT_EQ(reply.body, status == 204 ? "" : "why");
    EXPECT_EQ(streamed, "");
  }
}

TEST_F(HttpClientTest, PiecesComeAsTheyAreSentHoweverTheyAreCut) {
  const std::string text = "one line\nanother line\nand a third that is longer\n";
  FakeHttpServer server([&](FakeHttpExchange* exchange) {
    exchange->BeginChunked();
    const auto size = static_cast<size_t>(std::stoi(exchange->target.substr(1)));
    for (size_t at = 0; at < text.size(); at += size) exchange->Chunk(text.substr(at, size));
    exchange->EndChunked();
  });
  for (const int size : {1, 2, 3, 7, 1000}) {
    std::string streamed;
    Asked asked(client_.get(), GetOf(server.Url("/" + std::to_string(size))),
                [&](std::string_view piece) { streamed += piece; });
    EXPECT_TRUE(asked.Wait().ok());
    EXPECT_EQ(streamed, text);
  }
}

// Every place at which a reply can be cut off: never taken for a whole one.
TEST_F(HttpClientTest, HalfAReplyIsNone) {
  const std::string whole =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  FakeHttpServer server([&](FakeHttpExchange* exchange) {
    const auto size = static_cast<size_t>(std::stoi(exchange->target.substr(2)));
    exchange->Send(whole.substr(0, size));
    if (exchange->target[1] == 'r') exchange->Reset();
    exchange->Close();
  });
  for (const char* how : {"/r", "/c"}) {
    for (size_t size = 0; size < whole.size() - 2; ++size) {
      const HttpReply reply = Ask(client_.get(), GetOf(server.Url(how + std::to_string(size))));
      EXPECT_TRUE(reply.end == HttpEnd::kCut || reply.end == HttpEnd::kProtocol)
          << how << size << " " << HttpEndName(reply.end);
      EXPECT_NE(reply.message, "");
    }
  }
}

TEST_F(HttpClientTest, WhatIsNotHttpIsSaid) {
  FakeHttpServer server([](FakeHttpExchange* exchange) {
    exchange->Send(exchange->target == "/ssh" ? "SSH-2.0-OpenSSH_9.2\r\n"
                                              : "HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n");
    exchange->Close();
  });
  EXPECT_EQ(Ask(client_.get(), GetOf(server.Url("/ssh"))).end, HttpEnd::kProtocol);
  EXPECT_EQ(Ask(client_.get(), GetOf(server.Url("/length"))).end, HttpEnd::kProtocol);
}

TEST_F(HttpClientTest, LimitsOfBodiesAndHeadersHold) {
  FakeHttpServer server([](FakeHttpExchange* exchange) {
    if (exchange->target == "/headers") {
      exchange->Send("HTTP/1.1 200 OK\r\n");
      while (exchange->Send("X: " + std::string(1'000, 'x') + "\r\n")) {
      }
    }
    exchange->BeginChunked();
    while (exchange->Chunk(std::string(10'000, 'x'))) {
    }
  });
  HttpRequest request = GetOf(server.Url("/body"));
  request.max_reply_bytes = 100'000;
  EXPECT_EQ(Ask(client_.get(), request).end, HttpEnd::kTooLong);
  request.url = server.Url("/headers");
  EXPECT_EQ(Ask(client_.get(), request).end, HttpEnd::kTooLong);
}

TEST_F(HttpClientTest, AllBodiesTogetherHaveALimit) {
  HttpClientOptions options;
  options.max_memory_bytes = 100'000;
  const std::unique_ptr<HttpClient> client = StartedHttpClient(options);
  FakeHttpServer server([](FakeHttpExchange* exchange) {
    exchange->Reply(200, std::string(60'000, 'x'));
    if (exchange->target == "/hold") exchange->AwaitClosed();
  });
  FakeHttpServer holding([](FakeHttpExchange* exchange) {
    exchange->BeginChunked();
    exchange->Chunk(std::string(60'000, 'x'));
    exchange->AwaitClosed();
  });
  EXPECT_TRUE(Ask(client.get(), GetOf(server.Url("/"))).ok());
  std::optional<Asked> held;
  HttpReply reply;
  do {
    // It may be the one that finds no room.
    if (!held.has_value() || held->HasEnded()) held.emplace(client.get(), GetOf(holding.Url("/")));
    reply = Ask(client.get(), GetOf(server.Url("/")));
  } while (reply.ok());  // until the other one's bytes have come
  EXPECT_EQ(reply.end, HttpEnd::kBusy);
  client->Cancel(held->id);
  EXPECT_EQ(held->Wait().end, HttpEnd::kCancelled);
  EXPECT_TRUE(Ask(client.get(), GetOf(server.Url("/"))).ok());
}

TEST_F(HttpClientTest, SilenceEndsByTheDeadlineOrByIdleness) {
  FakeHttpServer server([](FakeHttpExchange* exchange) {
    if (exchange->target != "/nothing") {
      exchange->BeginChunked();
      exchange->Chunk("x");
    }
    exchange->AwaitClosed();
  });
  for (const char* path : {"/nothing", "/some"}) {
    HttpRequest request = GetOf(server.Url(path));
    request.deadline = milliseconds(30);
    EXPECT_EQ(Ask(client_.get(), request).end, HttpEnd::kDeadline);
    request.deadline = milliseconds(0);
    request.idle_timeout = milliseconds(30);
    Asked idle(client_.get(), request, [](std::string_view) {});
    EXPECT_EQ(idle.Wait().end, HttpEnd::kIdle);
  }
}

TEST_F(HttpClientTest, NoConnectionIsSaid) {
  const ReservedPort nobody;
  const HttpReply refused =
      Ask(client_.get(), GetOf("http://127.0.0.1:" + std::to_string(nobody.number()) + "/"));
  EXPECT_EQ(refused.end, HttpEnd::kConnect);
  EXPECT_EQ(refused.status, 0);
  EXPECT_THAT(refused.message, HasSubstr("127.0.0.1"));
}

TEST_F(HttpClientTest, WhatCannotBeSentIsRefusedWithItsName) {
  const auto refused = [&](const HttpRequest& request, const std::string& why) {
    const HttpReply reply = Ask(client_.get(), request);
    EXPECT_EQ(reply.end, HttpEnd::kBad) << why;
    EXPECT_THAT(reply.message, HasSubstr(why));
  };
  for (const char* url : {"", "ftp://a/", "file:///etc/passwd", "http://", "nonsense",
                          "http://a b/", "http://a/\r\nX: y", "http://a:99999/"}) {
    refused(GetOf(url), "url: ");
  }
  HttpRequest request = GetOf("http://127.0.0.1:9/");
  request.headers = {"X: y\r\nZ: injected"};
  refused(request, "headers: ");
  request.headers = {"no colon"};
  refused(request, "headers: ");
  request.headers.clear();
  request.method = "GET / HTTP/1.1\r\n";
  refused(request, "method: ");
}

TEST_F(HttpClientTest, CancelledFromAnyThreadItEndsOnce) {
  FakeHttpServer server([](FakeHttpExchange* exchange) { exchange->AwaitClosed(); });
  std::atomic<int> ends{0};
  std::vector<HttpTransferId> open;
  for (int i = 0; i < 20; ++i) {
    open.push_back(client_->Send(GetOf(server.Url("/")), [&](const HttpReply& reply) {
      EXPECT_EQ(reply.end, HttpEnd::kCancelled);
      ++ends;
    }));
  }
  std::vector<NamedThread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back("cancel", [&] {
      for (const HttpTransferId id : open) client_->Cancel(id);
    });
  }
  for (NamedThread& thread : threads) thread.Join();
  client_->RunAndWait([] {});
  EXPECT_EQ(ends, 20);
  EXPECT_EQ(client_->Stats().open, 0u);
  EXPECT_EQ(client_->Stats().ended[static_cast<size_t>(HttpEnd::kCancelled)], 20u);
}

TEST_F(HttpClientTest, TheEndOfTheClientEndsWhatIsOpen) {
  FakeHttpServer server([](FakeHttpExchange* exchange) { exchange->AwaitClosed(); });
  std::unique_ptr<HttpClient> client = StartedHttpClient();
  Asked open(client.get(), GetOf(server.Url("/")));
  bool timer_ran = false;
  client->RunAfter(std::chrono::hours(1), [&] { timer_ran = true; });
  client.reset();
  EXPECT_EQ(open.Wait().end, HttpEnd::kCancelled);
  EXPECT_FALSE(timer_ran);
}

TEST_F(HttpClientTest, TransfersBeyondTheLimitAreRefusedAndBeyondConnectionsWait) {
  HttpClientOptions options;
  options.max_transfers = 3;
  options.max_connections_per_host = 1;
  const std::unique_ptr<HttpClient> client = StartedHttpClient(options);
  FakeHttpServer server([](FakeHttpExchange* exchange) {
    if (exchange->target == "/hold") exchange->AwaitClosed();
    exchange->Reply(200, "");
  });
  Asked holding(client.get(), GetOf(server.Url("/hold")));
  Asked waiting(client.get(), GetOf(server.Url("/")));
  HttpRequest impatient = GetOf(server.Url("/"));
  impatient.deadline = milliseconds(30);  // counts while it waits for its turn
  Asked third(client.get(), impatient);
  EXPECT_EQ(Ask(client.get(), GetOf(server.Url("/"))).end, HttpEnd::kBusy);
  EXPECT_EQ(third.Wait().end, HttpEnd::kDeadline);
  EXPECT_FALSE(waiting.HasEnded());
  client->Cancel(holding.id);
  EXPECT_TRUE(waiting.Wait().ok());
}

TEST_F(HttpClientTest, TimersRunInOrderUnlessCancelled) {
  std::vector<int> ran;
  std::promise<void> last;
  client_->RunAfter(milliseconds(20), [&] { last.set_value(); });
  client_->RunAfter(milliseconds(10), [&] { ran.push_back(2); });
  client_->RunAfter(milliseconds(0), [&] { ran.push_back(1); });
  client_->CancelTimer(client_->RunAfter(milliseconds(1), [&] { ran.push_back(9); }));
  last.get_future().wait();
  EXPECT_THAT(ran, testing::ElementsAre(1, 2));
}

// Whoever ends what it began, and goes, is not called by a timer that was due at that moment.
TEST_F(HttpClientTest, WhatIsDueWhenItIsCancelledDoesNotRun) {
  bool ran = false;
  client_->RunAndWait([&] {
    const HttpTimerId timer = client_->RunAfter(milliseconds(0), [&] { ran = true; });
    client_->Run([this, timer] { client_->CancelTimer(timer); });
  });
  client_->RunAndWait([] {});
  EXPECT_FALSE(ran);
}

TEST_F(HttpClientTest, UnixSocketsAndIpv6) {
  const std::string path = testing::TempDir() + "/kvroute-http-" + std::to_string(getpid());
  const auto handler = [](FakeHttpExchange* exchange) {
    exchange->Reply(200, exchange->Header("host"));
  };
  FakeHttpServer on_path({.address = path}, handler);
  HttpRequest request = GetOf("http://engine:8000/");
  request.unix_socket = path;
  EXPECT_EQ(Ask(client_.get(), request).body, "engine:8000");
  FakeHttpServer on_v6({.address = "::1"}, handler);
  EXPECT_EQ(Ask(client_.get(), GetOf(on_v6.Url("/"))).body,
            "[::1]:" + std::to_string(on_v6.port()));
}

}  // namespace
}  // namespace kvroute::testing_support
