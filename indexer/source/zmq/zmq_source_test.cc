#include "indexer/source/zmq/zmq_source.h"

#include <gmock/gmock.h>

#include "test/support/held_lane.h"
#include "test/support/zmq_source_fixture.h"

namespace kvroute {
namespace {

using testing::HasSubstr;

class ZmqSourceTest : public ZmqSourceFixture {};

TEST_F(ZmqSourceTest, FirstContactReplaysFromZeroInTheNewLayout) {
  StartEngine({.topic = "kv-events", .topic_in_replay = true});
  Publish(30);
  Subscribe();
  ExpectIndexEqualsEngine();
  EXPECT_EQ(stream_->reason.load(), TrustReason::kReplayComplete);
  Publish(30);
  ExpectIndexEqualsEngine();
}

TEST_F(ZmqSourceTest, FirstContactReplaysFromZeroInTheOldLayout) {
  StartEngine({.topic_in_replay = false});
  Publish(30);
  Subscribe();
  ExpectIndexEqualsEngine();
}

TEST_F(ZmqSourceTest, WithoutReplayALateStreamIsNeverCalledExactUntilTheEngineClears) {
  StartEngine({.replay_endpoint = ""});
  Publish(5);
  Subscribe();
  ASSERT_TRUE(Until([&] { return stream_->connected.load(); }));
  // The subscription is on its way when the handshake is done: publish until something arrives.
  ASSERT_TRUE(Until([&] {
    publisher_->Publish(engine_.StepWithoutClear());
    return stream_->batches.load() > 0;
  }));
  EXPECT_EQ(stream_->trust.load(), Trust::kDegraded);
  EXPECT_EQ(stream_->reason.load(), TrustReason::kNoReplay);
  PublishClear();
  Publish(5);
  ExpectIndexEqualsEngine();
}

TEST_F(ZmqSourceTest, RemoveStreamForgetsWhatItHeld) {
  StartEngine();
  Publish(20);
  Subscribe();
  ASSERT_TRUE(UntilCaughtUp()) << State();
  EXPECT_GT(index_.Stats().holdings, 0u);
  source_->RemoveStream(stream_->id);
  EXPECT_TRUE(Until([&] { return index_.Stats().streams == 0; }));
  EXPECT_EQ(index_.Stats().holdings, 0u);
  source_->RemoveStream(stream_->id);
}

TEST_F(ZmqSourceTest, TheStreamsOfAFleetShareLanes) {
  options_.lanes = 2;
  StartEngine();
  Publish(5);
  StartSource();
  std::vector<std::shared_ptr<const StreamStatus>> streams;
  for (int i = 0; i < 40; ++i) streams.push_back(*source_->AddStream(Config()));
  for (const auto& stream : streams) {
    EXPECT_TRUE(Until([&] { return stream->trust.load() == Trust::kExact; }));
  }
}

TEST_F(ZmqSourceTest, ErrorsNameTheField) {
  max_streams_ = 1;
  StartEngine();
  StartSource();
  const auto message = [&](const StreamConfig& config) {
    const auto status = source_->AddStream(config);
    return status.ok() ? std::string("ok") : std::string(status.status().message());
  };
  StreamConfig config = Config();
  config.event_endpoint = "";
  EXPECT_THAT(message(config), HasSubstr("event_endpoint: "));
  config.event_endpoint = "tcp://0.0.0.0:5557";
  EXPECT_THAT(message(config), HasSubstr("name the engine's host"));
  config = Config();
  config.replay_endpoint = "gopher://x";
  EXPECT_THAT(message(config), HasSubstr("replay_endpoint: "));
  config = Config();
  config.curve.server_public = "short";
  EXPECT_THAT(message(config), HasSubstr("curve.server_public: "));
  config = Config();
  config.topic.assign(limits::kMaxTopicBytes + 1, 't');
  EXPECT_THAT(message(config), HasSubstr("topic: "));
  EXPECT_EQ(message(Config()), "ok");
  EXPECT_EQ(source_->AddStream(Config()).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(
      std::string(source_->AddListener({.endpoint = "tcp://nowhere"}, nullptr, nullptr).message()),
      HasSubstr("endpoint: "));
  EXPECT_THAT(
      std::string(source_->AddListener({.endpoint = "ipc:///tmp/x"}, nullptr, nullptr).message()),
      HasSubstr("endpoint: "));
}

class CurveTest : public ZmqSourceFixture {
 protected:
  // An engine whose sockets are CURVE servers, and the keys a client of it needs.
  void StartCurveEngine() { StartEngine({.curve_server_secret = server_.secret_key}); }
  CurveKeys Keys() const {
    return {.server_public = server_.public_key,
            .client_public = client_.public_key,
            .client_secret = client_.secret_key};
  }

  const CurveKeyPair server_ = NewCurveKeyPair();
  const CurveKeyPair client_ = NewCurveKeyPair();
};

TEST_F(CurveTest, EventsAndReplayComeThroughEncryptedSockets) {
  StartCurveEngine();
  Publish(20);
  StreamConfig config = Config();
  config.curve = Keys();
  Subscribe(config);
  ExpectIndexEqualsEngine();
  Publish(20);
  ExpectIndexEqualsEngine();
  EXPECT_EQ(stream_->refused_handshakes.load(), 0u);
}

TEST_F(CurveTest, WithAWrongKeyOrNoneAStreamNeverConnects) {
  StartCurveEngine();
  Publish(5);
  CurveKeys wrong = Keys();
  wrong.server_public = NewCurveKeyPair().public_key;
  for (const CurveKeys& keys : {wrong, CurveKeys{}}) {
    StreamConfig config = Config();
    config.curve = keys;
    Subscribe(config);
    ASSERT_TRUE(Until([&] {
      Publish(1);
      return stream_->refused_handshakes.load() >= 3;
    })) << State();
    EXPECT_FALSE(stream_->connected.load());
    EXPECT_EQ(stream_->trust.load(), Trust::kCold);
    EXPECT_EQ(stream_->batches.load(), 0u);
  }
}

TEST_F(CurveTest, AStreamThatWasRefusedConnectsOnceTheEngineHasChanged) {
  StartCurveEngine();
  StreamConfig config = Config();
  Subscribe(config);  // without keys: libzmq itself would never try again
  ASSERT_TRUE(Until([&] { return stream_->refused_handshakes.load() > 0; }));
  publisher_.reset();
  StartEngine({.event_endpoint = config.event_endpoint, .replay_endpoint = config.replay_endpoint});
  Publish(5);
  ExpectIndexEqualsEngine();
}

TEST_F(ZmqSourceTest, ALaneThatIsStuckGrowsOld) {
  clock_ = &fake_clock_;
  StartSource();
  const auto age = [&] { return source_->ThreadAges()[0].without_progress; };
  EXPECT_EQ(source_->ThreadAges().size(), 2u);
  EXPECT_EQ(source_->ThreadAges()[0].name, "ingest-0");
  fake_clock_.Advance(seconds(60));
  EXPECT_TRUE(Until([&] { return age() == seconds(0); }));  // it takes turns by itself

  HeldLane lane(source_.get(), &sockets_);
  EXPECT_TRUE(Until([&] { return lane.Holds(); }));
  fake_clock_.Advance(seconds(60));
  EXPECT_GE(age(), seconds(60));
  lane.Release();
  EXPECT_TRUE(Until([&] { return age() == seconds(0); }));
}

}  // namespace
}  // namespace kvroute
