#include "indexer/ingest/ingest.h"

#include <gmock/gmock.h>

#include "indexer/base/mutex.h"
#include "indexer/ingest/ingest_fixture.h"

namespace kvroute {
namespace {

using testing::HasSubstr;

class IngestTest : public IngestFixture {};

TEST_F(IngestTest, FirstContactReplaysFromZeroInTheNewLayout) {
  StartEngine({.topic = "kv-events", .topic_in_replay = true});
  Publish(30);
  Subscribe();
  ExpectIndexEqualsEngine();
  EXPECT_EQ(stream_->reason.load(), TrustReason::kReplayComplete);
  Publish(30);
  ExpectIndexEqualsEngine();
}

TEST_F(IngestTest, FirstContactReplaysFromZeroInTheOldLayout) {
  StartEngine({.topic_in_replay = false});
  Publish(30);
  Subscribe();
  ExpectIndexEqualsEngine();
}

TEST_F(IngestTest, WithoutReplayALateStreamIsNeverCalledExactUntilTheEngineClears) {
  StartEngine({.replay_endpoint = ""});
  Publish(5);
  Subscribe();
  ASSERT_TRUE(Until([&] { return stream_->connected.load(); }));
  // The subscription is on its way when the handshake is done: publish until something arrives.
  ASSERT_TRUE(Until([&] {
    Publish(1);
    return stream_->batches.load() > 0;
  }));
  EXPECT_EQ(stream_->trust.load(), Trust::kDegraded);
  EXPECT_EQ(stream_->reason.load(), TrustReason::kNoReplay);
  PublishClear();
  Publish(5);
  ExpectIndexEqualsEngine();
}

TEST_F(IngestTest, RemoveStreamForgetsWhatItHeld) {
  StartEngine();
  Publish(20);
  Subscribe();
  ASSERT_TRUE(UntilCaughtUp()) << State();
  EXPECT_GT(index_.Stats().holdings, 0u);
  ingest_->RemoveStream(stream_->id);
  EXPECT_TRUE(Until([&] { return index_.Stats().streams == 0; }));
  EXPECT_EQ(index_.Stats().holdings, 0u);
  ingest_->RemoveStream(stream_->id);
}

TEST_F(IngestTest, TheStreamsOfAFleetShareLanes) {
  options_.lanes = 2;
  StartEngine();
  Publish(5);
  StartIngest();
  std::vector<std::shared_ptr<const StreamStatus>> streams;
  for (int i = 0; i < 40; ++i) streams.push_back(*ingest_->AddStream(Config()));
  for (const auto& stream : streams) {
    EXPECT_TRUE(Until([&] { return stream->trust.load() == Trust::kExact; }));
  }
}

TEST_F(IngestTest, ErrorsNameTheField) {
  options_.max_streams = 1;
  StartEngine();
  StartIngest();
  const auto message = [&](const StreamConfig& config) {
    const auto status = ingest_->AddStream(config);
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
  EXPECT_EQ(ingest_->AddStream(Config()).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(ingest_->AddListener({.endpoint = "tcp://nowhere"}, nullptr).message()),
              HasSubstr("endpoint: "));
}

class ListenerTest : public IngestFixture {
 protected:
  // Engines connect to `endpoint_`; what is discovered is counted and the last stream becomes the
  // fixture's.
  void Listen() {
    StartIngest();
    // A port that was free a moment ago: the listener's own port is not told to its caller.
    auto probe = ZmqPublisher::Create(&sockets_, {.replay_endpoint = ""});
    endpoint_ = (*probe)->event_endpoint();
    probe->reset();
    absl::Status status;
    ASSERT_TRUE(Until([&] {
      status = ingest_->AddListener({.endpoint = endpoint_}, [this](const DiscoveredStream& found) {
        MutexLock lock(&mutex_);
        discovered_.push_back(found);
      });
      return status.ok();
    })) << status.message();
  }
  size_t Discovered() {
    MutexLock lock(&mutex_);
    if (!discovered_.empty()) stream_ = discovered_.back().status;
    return discovered_.size();
  }

  std::string endpoint_;
  Mutex mutex_;
  std::vector<DiscoveredStream> discovered_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(ListenerTest, ATopicIsAStream) {
  Listen();
  StartEngine({.event_endpoint = endpoint_,
               .replay_endpoint = "",
               .connect = true,
               .topic = "kv@10.0.0.7:8000@Qwen/Qwen3-8B"});
  ASSERT_TRUE(Until([&] {
    Publish(1);
    return Discovered() == 1;
  }));
  {
    MutexLock lock(&mutex_);
    EXPECT_EQ(discovered_[0].host, "10.0.0.7:8000");
    EXPECT_EQ(discovered_[0].model, "Qwen/Qwen3-8B");
  }
  PublishClear();
  Publish(10);
  ExpectIndexEqualsEngine();
}

TEST_F(ListenerTest, ATopicThatIsNoIdentityIsCounted) {
  Listen();
  StartEngine(
      {.event_endpoint = endpoint_, .replay_endpoint = "", .connect = true, .topic = "kv@x"});
  EXPECT_TRUE(Until([&] {
    Publish(1);
    return counters_.unknown_topics.load() > 0;
  }));
  EXPECT_EQ(Discovered(), 0u);
}

TEST_F(ListenerTest, TwoEnginesOfOneIdentityAreAConflict) {
  Listen();
  const PublisherOptions options{.event_endpoint = endpoint_,
                                 .replay_endpoint = "",
                                 .connect = true,
                                 .topic = "kv@10.0.0.7@m"};
  StartEngine(options);
  ASSERT_TRUE(Until([&] {
    Publish(1);
    return Discovered() == 1;
  }));
  auto twin = ZmqPublisher::Create(&sockets_, options);
  ASSERT_TRUE(twin.ok());
  ModelEngine twin_engine(8);
  ASSERT_TRUE(Until([&] {
    (*twin)->Publish(twin_engine.Step());
    Publish(1);
    return stream_->reason.load() == TrustReason::kIdentityConflict;
  })) << State();
  EXPECT_EQ(index_.Stats().holdings, 0u);
  twin->reset();
  ASSERT_TRUE(Until([&] {
    PublishClear();
    return stream_->trust.load() == Trust::kExact;
  })) << State();
}

}  // namespace
}  // namespace kvroute
