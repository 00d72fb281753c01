#include "tools/publisher/zmq_publisher.h"

#include <gtest/gtest.h>
#include <zmq.h>

#include <chrono>
#include <string>
#include <vector>

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using Frames = std::vector<std::string>;

constexpr milliseconds kPatience{10'000};
const std::string kEnd(8, '\xff');

std::string Seq(uint64_t seq) {
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(seq >> shift));
  return bytes;
}

// A bare libzmq peer, so that nothing of kvroute's own client decides what is on the wire.
class Peer {
 public:
  Peer(ZmqContext* context, int type, const std::string& endpoint)
      : socket_(zmq_socket(context->get(), type)) {
    const int linger = 0;
    zmq_setsockopt(socket_, ZMQ_LINGER, &linger, sizeof(linger));
    if (type == ZMQ_SUB) zmq_setsockopt(socket_, ZMQ_SUBSCRIBE, "", 0);
    EXPECT_EQ(zmq_connect(socket_, endpoint.c_str()), 0) << endpoint;
  }
  ~Peer() { zmq_close(socket_); }

  void Request(const Frames& frames) {
    for (size_t i = 0; i < frames.size(); ++i) {
      zmq_send(socket_, frames[i].data(), frames[i].size(),
               i + 1 < frames.size() ? ZMQ_SNDMORE : 0);
    }
  }
  // Nothing when no message came in time.
  Frames Receive(milliseconds timeout = kPatience) {
    zmq_pollitem_t item = {.socket = socket_, .fd = 0, .events = ZMQ_POLLIN, .revents = 0};
    zmq_poll(&item, 1, timeout.count());
    Frames frames;
    int more = 1;
    while (more != 0) {
      char bytes[1024];
      const int size = zmq_recv(socket_, bytes, sizeof(bytes), ZMQ_DONTWAIT);
      if (size < 0) return {};
      frames.emplace_back(bytes, static_cast<size_t>(size));
      size_t length = sizeof(more);
      zmq_getsockopt(socket_, ZMQ_RCVMORE, &more, &length);
    }
    return frames;
  }

 private:
  void* socket_;
};

class ZmqPublisherTest : public testing::Test {
 protected:
  void Start(const PublisherOptions& options = {}) {
    auto publisher = ZmqPublisher::Create(&context_, options);
    ASSERT_TRUE(publisher.ok()) << publisher.status();
    publisher_ = *std::move(publisher);
  }
  // Publishes probes until the subscriber is connected, and returns the first number after them.
  uint64_t Join(Peer* subscriber) {
    Frames probe;
    while ((probe = subscriber->Receive(milliseconds(1))).empty()) publisher_->Publish("probe");
    publisher_->Publish("last probe");
    while (probe.back() != "last probe") probe = subscriber->Receive();
    return publisher_->next_seq();
  }
  // What a replay from `start` answers, end marker included.
  std::vector<Frames> ReplayFrom(uint64_t start) {
    Peer client(&context_, ZMQ_DEALER, publisher_->replay_endpoint());
    client.Request({"", Seq(start)});
    std::vector<Frames> replies;
    while (replies.empty() || replies.back()[replies.back().size() - 2] != kEnd) {
      publisher_->Serve(milliseconds(1));
      for (Frames reply; !(reply = client.Receive(milliseconds(1))).empty();)
        replies.push_back(reply);
    }
    return replies;
  }

  ZmqContext context_;
  std::unique_ptr<ZmqPublisher> publisher_;
};

TEST_F(ZmqPublisherTest, LiveBatchesHaveThreeFramesAndCountUp) {
  Start({.topic = "kv-events"});
  Peer subscriber(&context_, ZMQ_SUB, publisher_->event_endpoint());
  const uint64_t next = Join(&subscriber);
  publisher_->Publish("payload");
  EXPECT_EQ(subscriber.Receive(), (Frames{"kv-events", Seq(next), "payload"}));
}

TEST_F(ZmqPublisherTest, ReplayAnswersFromTheBufferInBothLayouts) {
  for (const bool topic_in_replay : {true, false}) {
    Start({.topic = "t", .topic_in_replay = topic_in_replay, .buffer_steps = 2});
    for (const char* payload : {"a", "b", "c"}) publisher_->Publish(payload);
    const std::vector<Frames> expected =
        topic_in_replay ? std::vector<Frames>{{"", "t", Seq(1), "b"},
                                              {"", "t", Seq(2), "c"},
                                              {"", "", kEnd, ""}}
                        : std::vector<Frames>{{"", Seq(1), "b"}, {"", Seq(2), "c"}, {"", kEnd, ""}};
    EXPECT_EQ(ReplayFrom(0), expected);
    EXPECT_EQ(ReplayFrom(2), std::vector<Frames>(expected.begin() + 1, expected.end()));
    EXPECT_EQ(ReplayFrom(3), std::vector<Frames>(expected.end() - 1, expected.end()));
  }
}

TEST_F(ZmqPublisherTest, ARequestWithoutTheEmptyFrameIsIgnored) {
  Start();
  publisher_->Publish("a");
  Peer client(&context_, ZMQ_DEALER, publisher_->replay_endpoint());
  client.Request({Seq(0)});
  client.Request({"", Seq(0)});  // answered, so the first one was read before
  size_t sent = 0;
  while (sent == 0) sent = publisher_->Serve(milliseconds(1));
  EXPECT_EQ(sent, 2u) << "one batch and one end marker";
}

TEST_F(ZmqPublisherTest, FaultsHitTheNextBatchesAndNoOthers) {
  Start();
  Peer subscriber(&context_, ZMQ_SUB, publisher_->event_endpoint());
  const uint64_t first = Join(&subscriber);
  const auto seq = [first](uint64_t n) { return Seq(first + n); };
  publisher_->faults() = {.drop_live = 1};
  publisher_->Publish("0 dropped");
  publisher_->faults().lose = 1;
  publisher_->Publish("1 lost");
  publisher_->faults().duplicate = 1;
  publisher_->Publish("2 twice");
  publisher_->faults().corrupt = 1;
  publisher_->Publish("3 damaged");
  publisher_->Publish("4 whole");

  EXPECT_EQ(subscriber.Receive(), (Frames{"", seq(2), "2 twice"}));
  EXPECT_EQ(subscriber.Receive(), (Frames{"", seq(2), "2 twice"}));
  const Frames damaged = subscriber.Receive();
  EXPECT_EQ(damaged[1], seq(3));
  EXPECT_NE(damaged[2], "3 damaged");
  EXPECT_EQ(subscriber.Receive(), (Frames{"", seq(4), "4 whole"}));

  const std::vector<Frames> replies = ReplayFrom(first);
  ASSERT_EQ(replies.size(), 5u) << "0, 2, 3, 4 and the end: what was lost is nowhere";
  EXPECT_EQ(replies[0][3], "0 dropped");
  EXPECT_EQ(replies[1][3], "2 twice");
  EXPECT_EQ(replies[2][3], damaged[2]);
}

TEST_F(ZmqPublisherTest, RepliesCanBeSlowedAndDropped) {
  Start();
  for (const char* payload : {"a", "b", "c"}) publisher_->Publish(payload);
  publisher_->faults() = {.pass_replies = 1, .drop_replies = 1, .replies_per_serve = 1};
  const std::vector<Frames> expected = {
      {"", "", Seq(0), "a"}, {"", "", Seq(2), "c"}, {"", "", kEnd, ""}};
  EXPECT_EQ(ReplayFrom(0), expected);
}

TEST_F(ZmqPublisherTest, RestartCountsFromZeroOnTheSamePorts) {
  Start();
  Peer subscriber(&context_, ZMQ_SUB, publisher_->event_endpoint());
  Join(&subscriber);
  const std::string events = publisher_->event_endpoint(), replays = publisher_->replay_endpoint();
  ASSERT_TRUE(publisher_->Restart().ok());
  EXPECT_EQ(publisher_->event_endpoint(), events);
  EXPECT_EQ(publisher_->replay_endpoint(), replays);
  EXPECT_EQ(publisher_->next_seq(), 0u);
  EXPECT_EQ(ReplayFrom(0), (std::vector<Frames>{{"", "", kEnd, ""}}));
  Join(&subscriber);  // libzmq reconnects by itself
}

TEST_F(ZmqPublisherTest, ABadEndpointIsAnErrorThatNamesIt) {
  Start();
  PublisherOptions options;
  options.event_endpoint = "tcp://no such host:1";
  EXPECT_EQ(ZmqPublisher::Create(&context_, options).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_NE(ZmqPublisher::Create(&context_, options).status().message().find("no such host"),
            std::string::npos);
}

}  // namespace
}  // namespace kvroute
