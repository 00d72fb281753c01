#include "indexer/ingest/ingest.h"

#include <gmock/gmock.h>

#include <atomic>

#include "indexer/base/mutex.h"
#include "indexer/ingest/ingest_fixture.h"
#include "test/support/fake_clock.h"

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

class CurveTest : public IngestFixture {
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

TEST_F(IngestTest, ALaneThatIsStuckGrowsOld) {
  FakeClock clock;
  std::atomic<bool> entered{false};
  std::atomic<bool> release{false};
  auto ingest = Ingest::Start(options_, &index_, &counters_, &clock);
  ASSERT_TRUE(ingest.ok());
  const auto age = [&] { return (*ingest)->LaneAges()[0].since_last_turn; };
  EXPECT_EQ((*ingest)->LaneAges().size(), 1u);
  EXPECT_EQ((*ingest)->LaneAges()[0].name, "ingest-0");
  clock.Advance(seconds(60));
  EXPECT_TRUE(Until([&] { return age() == seconds(0); }));  // it takes turns by itself

  auto probe = ZmqPublisher::Create(&sockets_, {.replay_endpoint = ""});
  const std::string endpoint = (*probe)->event_endpoint();
  probe->reset();
  ASSERT_TRUE(Until([&] {
    return (*ingest)
        ->AddListener({.endpoint = endpoint},
                      [&](const DiscoveredStream&) {
                        entered = true;
                        while (!release) std::this_thread::yield();
                        return true;
                      })
        .ok();
  }));
  StartEngine({.event_endpoint = endpoint,
               .replay_endpoint = "",
               .connect = true,
               .topic = "kv@10.0.0.7@m"});
  EXPECT_TRUE(Until([&] {
    Publish(1);
    return entered.load();
  }));
  clock.Advance(seconds(60));
  EXPECT_GE(age(), seconds(60));
  release = true;
  EXPECT_TRUE(Until([&] { return age() == seconds(0); }));
}

class ListenerTest : public IngestFixture {
 protected:
  // Engines connect to `endpoint_`; what is discovered is counted and the last stream becomes the
  // fixture's.
  void Listen(const std::string& curve_server_secret = "") {
    Listen(ListenerConfig{.curve_server_secret = curve_server_secret});
  }
  void Listen(ListenerConfig config) {
    StartIngest();
    // A port that was free a moment ago: the listener's own port is not told to its caller.
    auto probe = ZmqPublisher::Create(&sockets_, {.replay_endpoint = ""});
    endpoint_ = (*probe)->event_endpoint();
    probe->reset();
    absl::Status status;
    ASSERT_TRUE(Until([&] {
      config.endpoint = endpoint_;
      status = ingest_->AddListener(config, [this](const DiscoveredStream& found) {
        MutexLock lock(&mutex_);
        discovered_.push_back(found);
        return wanted_;
      });
      return status.ok();
    })) << status.message();
  }
  size_t Discovered() {
    MutexLock lock(&mutex_);
    if (!discovered_.empty()) stream_ = discovered_.back().status;
    return discovered_.size();
  }

  uint64_t Unknown(UnknownTopic reason) const {
    return counters_.unknown_topics[static_cast<size_t>(reason)].load();
  }
  std::unique_ptr<ZmqPublisher> Connect(const std::string& topic) {
    return *ZmqPublisher::Create(
        &sockets_,
        {.event_endpoint = endpoint_, .replay_endpoint = "", .connect = true, .topic = topic});
  }

  std::string endpoint_;
  bool wanted_ = true;
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

TEST_F(ListenerTest, WithCurveOnlyEnginesThatKnowItsKeyAreHeard) {
  const CurveKeyPair keys = NewCurveKeyPair();
  Listen(keys.secret_key);
  PublisherOptions options{.event_endpoint = endpoint_,
                           .replay_endpoint = "",
                           .connect = true,
                           .topic = "kv@10.0.0.7@m"};
  std::vector<std::unique_ptr<ZmqPublisher>> strangers;
  for (const std::string& key : {std::string(), NewCurveKeyPair().public_key}) {
    options.topic = "kv@stranger@m";
    options.curve_listener_public = key;
    strangers.push_back(*ZmqPublisher::Create(&sockets_, options));
  }
  options.topic = "kv@10.0.0.7@m";
  options.curve_listener_public = keys.public_key;
  StartEngine(options);
  ASSERT_TRUE(Until([&] {
    for (const auto& stranger : strangers) stranger->Publish("x");
    Publish(1);
    return Discovered() > 0 && stream_->batches.load() > 100;
  }));
  EXPECT_EQ(Discovered(), 1u);
  EXPECT_EQ(stream_->config.topic, "kv@10.0.0.7@m");
  EXPECT_THAT(std::string(ingest_
                              ->AddListener(
                                  {.endpoint = "tcp://127.0.0.1:*", .curve_server_secret = "short"},
                                  nullptr)
                              .message()),
              HasSubstr("curve.server_secret: "));
}

TEST_F(ListenerTest, ATopicThatIsNoIdentityIsCounted) {
  Listen();
  StartEngine(
      {.event_endpoint = endpoint_, .replay_endpoint = "", .connect = true, .topic = "kv@x"});
  EXPECT_TRUE(Until([&] {
    Publish(1);
    return Unknown(UnknownTopic::kNoIdentity) > 0;
  }));
  EXPECT_EQ(Discovered(), 0u);
}

TEST_F(ListenerTest, TopicsBeyondItsLimitAreLeftOutUntilAnotherGoes) {
  Listen({.max_discovered_streams = 2});
  std::vector<std::unique_ptr<ZmqPublisher>> engines;
  for (const char* topic : {"kv@a@m", "kv@b@m", "kv@c@m", "kv@d@m"}) {
    engines.push_back(Connect(topic));
  }
  const auto publish = [&] {
    for (const auto& engine : engines) engine->Publish(engine_.Clear());
  };
  ASSERT_TRUE(Until([&] {
    publish();
    return Unknown(UnknownTopic::kListenerLimit) > 20;
  }));
  EXPECT_EQ(Discovered(), 2u);
  EXPECT_EQ(index_.Stats().streams, 2u);
  engines.resize(3);
  ingest_->RemoveStream(stream_->id);  // it, or another, is discovered again
  EXPECT_TRUE(Until([&] {
    publish();
    return Discovered() == 3;
  }));
  EXPECT_EQ(index_.Stats().streams, 2u);
}

TEST_F(ListenerTest, ATopicThatIsNotWantedKeepsNoStream) {
  wanted_ = false;
  Listen();
  const auto engine = Connect("kv@a@m");
  ASSERT_TRUE(Until([&] {
    engine->Publish(engine_.Clear());
    return Unknown(UnknownTopic::kNotWanted) > 20;
  }));
  EXPECT_EQ(Discovered(), 1u);  // for a while it is not even offered again
  EXPECT_EQ(index_.Stats().streams, 0u);
}

TEST_F(ListenerTest, TopicsBeyondMaxStreamsAreCounted) {
  options_.max_streams = 1;
  Listen();
  const auto a = Connect("kv@a@m");
  const auto b = Connect("kv@b@m");
  EXPECT_TRUE(Until([&] {
    a->Publish(engine_.Clear());
    b->Publish(engine_.Clear());
    return Unknown(UnknownTopic::kMaxStreams) > 0;
  }));
  EXPECT_EQ(Discovered(), 1u);
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
