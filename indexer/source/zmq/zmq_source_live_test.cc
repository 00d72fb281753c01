// What an engine says live is not what is listened for: other frames, another topic. Over real
// sockets.
#include <zmq.h>

#include <string>
#include <vector>

#include "test/support/zmq_source_fixture.h"

namespace kvroute {
namespace {

class ZmqSourceLiveTest : public ZmqSourceFixture {
 protected:
  void SubscribeTo(const std::string& topic) {
    StreamConfig config = Config();
    config.topic = topic;
    Subscribe(config);
  }
  bool UntilReason(TrustReason reason) {
    return Until([&] {
      return stream_->reason.load() == reason && stream_->trust.load() == Trust::kDegraded;
    });
  }
};

TEST_F(ZmqSourceLiveTest, ATopicThatMatchesNothingIsNoticedByTheReplies) {
  StartEngine({.topic = "kv-events"});
  Publish(5);
  SubscribeTo("kv_events");
  ASSERT_TRUE(UntilReason(TrustReason::kTopicMismatch)) << State();
  EXPECT_EQ(stream_->next_seq.load(), 5u);
}

TEST_F(ZmqSourceLiveTest, OrByReplaysThatGrowWhereTheyNameNoTopic) {
  StartEngine({.topic = "kv-events", .topic_in_replay = false});
  Publish(5);
  SubscribeTo("kv_events");
  ASSERT_TRUE(UntilCaughtUp()) << State();
  uint64_t seen = 5;
  ASSERT_TRUE(Until([&] {  // one more whenever the last was found
    if (stream_->next_seq.load() == seen) {
      Publish(1);
      ++seen;
    }
    return stream_->reason.load() == TrustReason::kLiveSilent;
  })) << State();
  EXPECT_EQ(stream_->trust.load(), Trust::kDegraded);
}

TEST_F(ZmqSourceLiveTest, ATopicThatMatchesIsHeard) {
  StartEngine({.topic = "kv-events"});
  Publish(5);
  SubscribeTo("kv");
  ExpectIndexEqualsEngine();
  Publish(5);
  ExpectIndexEqualsEngine();
}

// A publisher of any frames; each row of them is one message.
class RawPublisher {
 public:
  explicit RawPublisher(const ZmqContext& context) : socket_(zmq_socket(context.get(), ZMQ_PUB)) {
    const int no_linger = 0;
    zmq_setsockopt(socket_, ZMQ_LINGER, &no_linger, sizeof(no_linger));
    EXPECT_EQ(zmq_bind(socket_, "tcp://127.0.0.1:*"), 0);
    char endpoint[64];
    size_t size = sizeof(endpoint);
    EXPECT_EQ(zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
    endpoint_ = endpoint;
  }
  ~RawPublisher() { zmq_close(socket_); }
  const std::string& endpoint() const { return endpoint_; }
  void Send(const std::vector<std::string>& frames) {
    for (size_t i = 0; i < frames.size(); ++i) {
      zmq_send(socket_, frames[i].data(), frames[i].size(),
               i + 1 < frames.size() ? ZMQ_SNDMORE : 0);
    }
  }

 private:
  void* const socket_;
  std::string endpoint_;
};

class MalformedLiveTest : public ZmqSourceFixture,
                          public testing::WithParamInterface<std::vector<std::string>> {};

TEST_P(MalformedLiveTest, IsCountedAtTheStreamAndTakesTrust) {
  RawPublisher publisher(sockets_);
  StreamConfig config;
  config.worker_id = "w";
  config.event_endpoint = publisher.endpoint();
  Subscribe(config);
  const std::string first(8, '\0');
  ASSERT_TRUE(Until([&] {
    publisher.Send({"", first, engine_.StepWithoutClear()});
    return stream_->trust.load() == Trust::kExact || stream_->restarts.load() > 0;
  }));
  const uint64_t before = stream_->malformed_messages.load();
  ASSERT_TRUE(Until([&] {
    publisher.Send(GetParam());
    return stream_->reason.load() == TrustReason::kMalformedMessages ||
           stream_->malformed_messages.load() > before + 10;
  }));
  EXPECT_GT(stream_->malformed_messages.load(), before);
  EXPECT_GT(counters_.malformed_messages.load(), 0u);
  EXPECT_NE(stream_->trust.load(), Trust::kExact);
}

INSTANTIATE_TEST_SUITE_P(
    Frames, MalformedLiveTest,
    testing::Values(std::vector<std::string>{"only one"},
                    std::vector<std::string>{std::string(8, '\1'), "payload"},
                    std::vector<std::string>{"", std::string(8, '\1'), "payload", "more"},
                    std::vector<std::string>{"", std::string(4, '\1'), "payload"},
                    std::vector<std::string>{"", std::string(24, '\1'), "payload"},
                    std::vector<std::string>{"", std::string(8, '\xff'), "payload"}));

}  // namespace
}  // namespace kvroute
