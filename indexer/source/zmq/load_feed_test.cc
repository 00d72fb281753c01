// What SGLang's schedulers say of their load, over real sockets.
#include "indexer/source/zmq/load_feed.h"

#include <zmq.h>

#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "indexer/base/limits.h"
#include "indexer/source/zmq/endpoint.h"
#include "test/support/fake_names.h"
#include "test/support/zmq_source_fixture.h"

namespace kvroute {
namespace {

constexpr char kEighth[] = "\0\0\0\0\0\0\0\1";

// An SGLang scheduler's load socket.
class LoadPublisher {
 public:
  explicit LoadPublisher(const ZmqContext& context, const std::string& at = "tcp://127.0.0.1:*")
      : socket_(zmq_socket(context.get(), ZMQ_PUB)) {
    const int no_linger = 0;
    zmq_setsockopt(socket_, ZMQ_LINGER, &no_linger, sizeof(no_linger));
    // A socket that was there before lets go of its port in its own time.
    while (zmq_bind(socket_, at.c_str()) != 0) {
      if (zmq_errno() != EADDRINUSE) throw std::runtime_error(zmq_strerror(zmq_errno()));
      std::this_thread::yield();
    }
    char endpoint[64];
    size_t size = sizeof(endpoint);
    EXPECT_EQ(zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
    endpoint_ = endpoint;
  }
  ~LoadPublisher() { zmq_close(socket_); }
  const std::string& endpoint() const { return endpoint_; }
  void Send(const std::vector<std::string>& frames) {
    for (size_t i = 0; i < frames.size(); ++i) {
      zmq_send(socket_, frames[i].data(), frames[i].size(),
               i + 1 < frames.size() ? ZMQ_SNDMORE : 0);
    }
  }
  // As msgspec writes it, of version 0.5.23; `running` below 128.
  static std::string Stat(int running) {
    return std::string("\x9b\xa8LoadStat") + static_cast<char>(running) +
           std::string(
               "\x02\xcd\x10\x00\xce\x00\x01\x00\x00\x00\xcd\x05\xdc\xcd\x17\x70\xcc\x80\x00\x00",
               20);
  }
  void SendStat(int running) { Send({"load", std::string(kEighth, 8), Stat(running)}); }

 private:
  void* const socket_;
  std::string endpoint_;
};

class LoadFeedTest : public ZmqSourceFixture {
 protected:
  void Follow(const std::string& endpoint) {
    if (source_ == nullptr) StartSource();
    auto load = source_->FollowLoad(endpoint);
    ASSERT_TRUE(load.ok()) << load.status();
    load_ = *std::move(load);
  }
  // Says it until it is heard: what is sent before a connection is made is nobody's.
  bool UntilHeard(LoadPublisher* publisher, int running) {
    return UntilUnserved([&] {
      publisher->SendStat(running);
      return load_->at_ns.load() != 0 && load_->running.load() == static_cast<uint32_t>(running);
    });
  }
  uint64_t Count(LoadMessage result) const {
    return source_->load_counts().messages[static_cast<size_t>(result)].load();
  }

  std::shared_ptr<const PushedLoad> load_;
};

TEST_F(LoadFeedTest, TheNewestCounts) {
  LoadPublisher publisher(sockets_);
  Follow(publisher.endpoint());
  ASSERT_TRUE(UntilHeard(&publisher, 3));
  EXPECT_EQ(load_->waiting.load(), 2u);
  EXPECT_EQ(load_->used_tokens.load(), 4'096u);
  EXPECT_EQ(load_->capacity_tokens.load(), 65'536u);
  ASSERT_TRUE(UntilHeard(&publisher, 7));
  EXPECT_GT(Count(LoadMessage::kTaken), 1u);
}

TEST_F(LoadFeedTest, WhatIsNoLoadIsCountedAndChangesNothing) {
  LoadPublisher publisher(sockets_);
  Follow(publisher.endpoint());
  ASSERT_TRUE(UntilHeard(&publisher, 3));
  const std::string number(kEighth, 8);
  publisher.Send({"load", number, "no msgpack"});
  publisher.Send({"load", number, ""});
  publisher.Send({"load", LoadPublisher::Stat(9)});
  publisher.Send({"load", "short", LoadPublisher::Stat(9)});
  publisher.Send({"other", number, LoadPublisher::Stat(9)});  // not subscribed to
  publisher.SendStat(4);
  ASSERT_TRUE(UntilUnserved([&] { return load_->running.load() == 4; }));
  EXPECT_EQ(Count(LoadMessage::kMalformed), 2u);
  EXPECT_EQ(Count(LoadMessage::kFrames), 2u);
}

TEST_F(LoadFeedTest, AMessageThatIsTooLongEndsTheConnectionWhichIsMadeAgain) {
  LoadPublisher publisher(sockets_);
  Follow(publisher.endpoint());
  ASSERT_TRUE(UntilHeard(&publisher, 3));
  publisher.Send({"load", std::string(kEighth, 8), std::string(limits::kMaxLoadBytes + 1, 'x')});
  ASSERT_TRUE(UntilHeard(&publisher, 5));
  EXPECT_EQ(Count(LoadMessage::kMalformed), 0u) << "it was not read";
}

TEST_F(LoadFeedTest, AnEngineThatRestartsIsHeardAgain) {
  auto publisher = std::make_unique<LoadPublisher>(sockets_);
  const std::string endpoint = publisher->endpoint();
  Follow(endpoint);
  ASSERT_TRUE(UntilHeard(publisher.get(), 3));
  publisher.reset();
  publisher = std::make_unique<LoadPublisher>(sockets_, endpoint);
  ASSERT_TRUE(UntilHeard(publisher.get(), 4));
}

TEST_F(LoadFeedTest, AnEngineMayHaveAName) {
  const auto names = std::make_shared<FakeNames>();
  options_.names = names;
  names->Set("engine", {"127.0.0.1"});
  LoadPublisher publisher(sockets_);
  Follow(TextOf({"engine", ParseTcpEndpoint(publisher.endpoint())->port}));
  ASSERT_TRUE(UntilHeard(&publisher, 3));
}

TEST_F(LoadFeedTest, OneThatIsLeftIsHeardNoMore) {
  LoadPublisher publisher(sockets_), other(sockets_);
  Follow(publisher.endpoint());
  ASSERT_TRUE(UntilHeard(&publisher, 3));
  const auto left = load_;
  Follow(other.endpoint());
  source_->LeaveLoad(left.get());
  // The lane has done that once what was asked of it later is done, and a message would have come.
  ASSERT_TRUE(UntilUnserved([&] { return left.use_count() == 1; }));
  publisher.SendStat(9);
  ASSERT_TRUE(UntilHeard(&other, 4));
  EXPECT_EQ(left->running.load(), 3u);
}

TEST_F(LoadFeedTest, WhereNobodyCanConnectIsSaid) {
  StartSource();
  for (const char* endpoint : {"", "tcp://:5558", "udp://127.0.0.1:1", "tcp://127.0.0.1:0"}) {
    const auto load = source_->FollowLoad(endpoint);
    EXPECT_TRUE(absl::IsInvalidArgument(load.status())) << endpoint;
  }
}

}  // namespace
}  // namespace kvroute
