// Engines that connect to kvroute: topics, and what becomes of those whose engine is gone.
#include <gmock/gmock.h>

#include "indexer/base/mutex.h"
#include "test/support/reserved_port.h"
#include "test/support/zmq_source_fixture.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ListenerTest : public ZmqSourceFixture {
 protected:
  void TearDown() override { source_.reset(); }  // before what its callbacks write to

  // Engines connect to `endpoint_`; what is discovered is counted and the last stream becomes the
  // fixture's.
  void Listen(const std::string& curve_server_secret = "") {
    Listen(ListenerConfig{.curve_server_secret = curve_server_secret});
  }
  void Listen(ListenerConfig config) {
    StartSource();
    config.endpoint = endpoint_;
    const absl::Status status = source_->AddListener(
        config,
        [this](const DiscoveredStream& found) {
          MutexLock lock(&mutex_);
          discovered_.push_back(found);
          return wanted_;
        },
        [this](StreamId id) {
          MutexLock lock(&mutex_);
          expired_.push_back(id);
        });
    ASSERT_TRUE(status.ok()) << status.message();
  }
  size_t Discovered() {
    MutexLock lock(&mutex_);
    if (!discovered_.empty()) stream_ = discovered_.back().status;
    return discovered_.size();
  }

  std::shared_ptr<const StreamStatus> Stream(const std::string& topic) {
    MutexLock lock(&mutex_);
    for (const DiscoveredStream& found : discovered_) {
      if (found.topic == topic) return found.status;
    }
    return nullptr;
  }
  std::vector<StreamId> Expired() {
    MutexLock lock(&mutex_);
    return expired_;
  }

  uint64_t Unknown(UnknownTopic reason) const {
    return counters_.unknown_topics[static_cast<size_t>(reason)].load();
  }
  std::unique_ptr<ZmqPublisher> Connect(const std::string& topic) {
    return *ZmqPublisher::Create(
        &sockets_,
        {.event_endpoint = endpoint_, .replay_endpoint = "", .connect = true, .topic = topic});
  }

  const ReservedPort port_;
  const std::string endpoint_ = port_.endpoint();
  bool wanted_ = true;
  Mutex mutex_;
  std::vector<DiscoveredStream> discovered_ ABSL_GUARDED_BY(mutex_);
  std::vector<StreamId> expired_ ABSL_GUARDED_BY(mutex_);
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
  EXPECT_THAT(std::string(source_
                              ->AddListener(
                                  {.endpoint = "tcp://127.0.0.1:*", .curve_server_secret = "short"},
                                  nullptr, nullptr)
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
  source_->RemoveStream(stream_->id);  // it, or another, is discovered again
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
  max_streams_ = 1;
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
  EXPECT_TRUE(Until([&] { return index_.Stats().holdings == 0; }));
  twin->reset();
  ASSERT_TRUE(Until([&] {
    PublishClear();
    return stream_->trust.load() == Trust::kExact;
  })) << State();
}

TEST_F(ListenerTest, AnEngineThatIsGoneExpiresAndNoOtherIsTouched) {
  Listen({.max_discovered_streams = 2, .expire_after = milliseconds(300)});
  auto a = Connect("kv@a@m");
  const auto b = Connect("kv@b@m");
  const auto is_exact = [&](const char* topic) {
    const auto stream = Stream(topic);
    return stream != nullptr && stream->trust.load() == Trust::kExact;
  };
  ASSERT_TRUE(Until([&] {
    a->Publish(engine_.Clear());
    b->Publish(engine_.Clear());
    return is_exact("kv@a@m") && is_exact("kv@b@m");
  }));
  a.reset();  // b has nothing to say from here on
  const auto gone = Stream("kv@a@m");
  ASSERT_TRUE(Until([&] { return gone->trust.load() == Trust::kStale; }));
  EXPECT_FALSE(gone->connected.load());
  ASSERT_TRUE(Until([&] { return !Expired().empty(); }));
  EXPECT_THAT(Expired(), ElementsAre(gone->id));
  EXPECT_EQ(counters_.expired_streams.load(), 1u);
  EXPECT_TRUE(is_exact("kv@b@m"));
  EXPECT_TRUE(Stream("kv@b@m")->connected.load());
  const auto c = Connect("kv@c@m");  // the place is free
  ASSERT_TRUE(Until([&] {
    c->Publish(engine_.Clear());
    return is_exact("kv@c@m");
  }));
  EXPECT_EQ(index_.Stats().streams, 2u);
  EXPECT_THAT(Expired(), ElementsAre(gone->id));
}

TEST_F(ListenerTest, AnEngineThatConnectsAgainInTimeKeepsItsStream) {
  Listen({.expire_after = seconds(3600)});
  for (int i = 0; i < 3; ++i) {
    StartEngine({.event_endpoint = endpoint_,
                 .replay_endpoint = "",
                 .connect = true,
                 .topic = "kv@10.0.0.7@m"});
    engine_.Restart();
    ASSERT_TRUE(Until([&] {
      PublishClear();
      return Discovered() == 1 && stream_->trust.load() == Trust::kExact;
    })) << State();
    publisher_.reset();
    ASSERT_TRUE(Until([&] { return stream_->trust.load() == Trust::kStale; }));
  }
  EXPECT_EQ(Discovered(), 1u);
  EXPECT_THAT(Expired(), IsEmpty());
}

TEST_F(ListenerTest, AnExpiredTopicThatIsHeardAgainIsDiscoveredAnew) {
  Listen({.expire_after = milliseconds(1)});
  for (size_t i = 1; i <= 3; ++i) {
    const auto engine = Connect("kv@a@m");
    ASSERT_TRUE(Until([&] {
      engine->Publish(engine_.Clear());
      return Discovered() == i;
    }));
    ASSERT_EQ(Expired().size(), i - 1);
    engine->Close();
    ASSERT_TRUE(Until([&] { return Expired().size() == i; }));
  }
  EXPECT_TRUE(Until([&] { return index_.Stats().streams == 0; }));
}

TEST_F(ListenerTest, ExpireAfterZeroIsNever) {
  Listen({.max_discovered_streams = 1, .expire_after = milliseconds(0)});
  auto a = Connect("kv@a@m");
  ASSERT_TRUE(Until([&] {
    a->Publish(engine_.Clear());
    return Discovered() == 1;
  }));
  a.reset();
  ASSERT_TRUE(Until([&] { return stream_->trust.load() == Trust::kStale; }));
  const auto b = Connect("kv@b@m");
  ASSERT_TRUE(Until([&] {  // long after
    b->Publish(engine_.Clear());
    return Unknown(UnknownTopic::kListenerLimit) > 1000;
  }));
  EXPECT_THAT(Expired(), IsEmpty());
}

// An engine whose connection is lost and that has nothing to say, but answers when it is asked.
TEST_F(ListenerTest, AnEngineThatAnswersReplaysIsThere) {
  clock_ = &fake_clock_;  // else it would expire while the machine does something else
  options_.stream.probe_after_idle = seconds(3600);  // whose answers are signs of life, too
  StartEngine();                                     // its replay socket
  const std::string& replay = publisher_->replay_endpoint();
  Listen({.replay_port = static_cast<uint32_t>(std::stoul(replay.substr(replay.rfind(':') + 1))),
          .expire_after = milliseconds(400)});
  auto events = Connect("kv@127.0.0.1@m");
  ASSERT_TRUE(Until([&] {
    const std::string batch = engine_.Clear();
    events->Publish(batch);
    publisher_->Publish(batch);
    return Discovered() == 1 && stream_->trust.load() == Trust::kExact;
  }));
  uint64_t asked = stream_->replays.load();
  const auto asked_and_answered = [&] {
    const bool is_asked = Until([&] { return stream_->replays.load() > asked; });
    asked = stream_->replays.load();
    return is_asked && UntilTrust(Trust::kExact);
  };
  // The lane has seen that so much time has passed.
  const auto pass = [&](milliseconds time) {
    fake_clock_.Advance(time);
    return Until([&] { return source_->ThreadAges()[0].without_progress == seconds(0); });
  };
  events.reset();
  ASSERT_TRUE(asked_and_answered()) << State();  // because the connection is lost
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(pass(milliseconds(250)));  // the answer is noticed
    ASSERT_TRUE(pass(milliseconds(250)));  // halfway it is asked again
    ASSERT_TRUE(asked_and_answered()) << State();
    EXPECT_THAT(Expired(), IsEmpty());
  }
  publisher_.reset();
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(pass(milliseconds(100)));
  EXPECT_EQ(stream_->trust.load(), Trust::kStale) << State();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(pass(milliseconds(100)));
  EXPECT_THAT(Expired(), ElementsAre(stream_->id));
}

}  // namespace
}  // namespace kvroute
