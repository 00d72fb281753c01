// Engines by name, engines that are not there, and name servers that do not answer.
#include <gmock/gmock.h>

#include "indexer/base/log.h"
#include "indexer/source/zmq/connection_watch.h"
#include "indexer/source/zmq/endpoint.h"
#include "test/support/fake_names.h"
#include "test/support/reserved_port.h"
#include "test/support/zmq_source_fixture.h"

namespace kvroute {
namespace {

class ConnectingTest : public ZmqSourceFixture {
 protected:
  ConnectingTest() {
    options_.names = names_;
    options_.dial_timeout = seconds(60);
  }
  ~ConnectingTest() override { names_->Release(); }

  // The engine's endpoints, with another host.
  StreamConfig Named(const std::string& host) const {
    StreamConfig config = Config();
    for (std::string* endpoint : {&config.event_endpoint, &config.replay_endpoint}) {
      *endpoint = TextOf({host, ParseTcpEndpoint(*endpoint)->port});
    }
    return config;
  }
  bool UntilTrouble(ConnectTrouble trouble) {
    return Until([&] { return stream_->connect_trouble.load() == trouble; });
  }
  // The lane has seen what the fake clock says now.
  void AwaitTicks() {
    for (int i = 0; i < 2; ++i) {
      fake_clock_.Advance(Nanos(1));
      ASSERT_TRUE(Until([&] { return source_->ThreadAges()[0].without_progress == Nanos(0); }));
    }
  }

  const std::shared_ptr<FakeNames> names_ = std::make_shared<FakeNames>();
};

TEST_F(ConnectingTest, ANameWithBothFamiliesConnectsToWhicheverAnswers) {
  names_->Set("engine", {"::1", "127.0.0.1"});
  StartEngine();
  Publish(10);
  Subscribe(Named("engine"));
  ExpectIndexEqualsEngine();
}

TEST_F(ConnectingTest, TheSystemsLocalhostConnectsToAnEngineOnOneFamily) {
  options_.names = nullptr;
  StartEngine();
  Publish(10);
  Subscribe(Named("localhost"));
  ExpectIndexEqualsEngine();
}

TEST_F(ConnectingTest, AnEngineThatHasMovedIsFound) {
  names_->Set("engine", {"127.0.0.2"});  // where nothing listens
  StartEngine();
  Publish(10);
  Subscribe(Named("engine"));
  ASSERT_TRUE(UntilTrouble(ConnectTrouble::kRefused));
  names_->Set("engine", {"127.0.0.1"});
  ExpectIndexEqualsEngine();
  EXPECT_EQ(stream_->connect_trouble.load(), ConnectTrouble::kNone);
}

TEST_F(ConnectingTest, ANameServerThatDoesNotAnswerDelaysNobodyAndNotTheEnd) {
  StartEngine();
  Publish(10);
  Subscribe(Named("silent"));
  const auto silent = stream_;
  names_->AwaitAsked(1);
  Subscribe();
  ExpectIndexEqualsEngine();
  Publish(10);
  ExpectIndexEqualsEngine();
  EXPECT_FALSE(silent->connected.load());
  EXPECT_EQ(silent->trust.load(), Trust::kCold);
  source_.reset();  // returns although the name server still does not
}

TEST_F(ConnectingTest, AReplayByANameThatIsNotKnownEndsAsOneThatIsNotAnswered) {
  options_.stream.replay_timeout = milliseconds(50);
  StartEngine();
  Publish(10);
  StreamConfig config = Config();
  config.replay_endpoint = Named("no-such-host").replay_endpoint;
  Subscribe(config);
  ASSERT_TRUE(UntilTrust(Trust::kDegraded)) << State();
  EXPECT_EQ(stream_->reason.load(), TrustReason::kReplayTimeout);
}

TEST_F(ConnectingTest, WhyAnEngineIsNotConnectedIsKnown) {
  const ReservedPort closed;
  StartSource();
  const auto trouble_of = [&](const std::string& endpoint, ConnectTrouble trouble) {
    StreamConfig config;
    config.worker_id = "w";
    config.event_endpoint = endpoint;
    Subscribe(config);
    EXPECT_EQ(stream_->reason.load(), TrustReason::kConnecting);
    EXPECT_TRUE(UntilTrouble(trouble)) << endpoint;
    EXPECT_EQ(stream_->trust.load(), Trust::kCold);
  };
  trouble_of(closed.endpoint(), ConnectTrouble::kRefused);
  trouble_of("tcp://no-such-host:5557", ConnectTrouble::kNoSuchHost);
  trouble_of("ipc://@kvroute-nobody", ConnectTrouble::kOther);
}

TEST_F(ConnectingTest, ItIsSaidOnceAMinute) {
  const ReservedPort closed;
  clock_ = &fake_clock_;
  testing::internal::CaptureStderr();
  StartSource();
  StreamConfig config;
  config.worker_id = "lonely";
  config.event_endpoint = closed.endpoint();
  Subscribe(config);
  ASSERT_TRUE(Until([&] {
    fake_clock_.Advance(milliseconds(100));
    AwaitTicks();
    return stream_->connect_trouble.load() == ConnectTrouble::kRefused;
  }));
  for (int i = 0; i < 7; ++i) {
    AwaitTicks();
    fake_clock_.Advance(seconds(20));
  }
  AwaitTicks();
  ASSERT_TRUE(FlushLog(seconds(60)));
  const std::string log = testing::internal::GetCapturedStderr();
  size_t lines = 0;
  const std::string line = "stream lonely/0: not connected to " + closed.endpoint();
  for (size_t at = 0; (at = log.find(line, at)) != std::string::npos; ++at) ++lines;
  EXPECT_EQ(lines, 3u) << log;
  EXPECT_THAT(log, testing::HasSubstr("nothing listens at the port (refused)"));
}

// An engine that connects to a listener and names its host in its topic.
class TopicHostTest : public ConnectingTest {
 protected:
  // The stream that its first batch has made.
  std::shared_ptr<const StreamStatus> Discover(const std::string& host, bool allow) {
    StartSource();
    std::atomic<bool> found{false};
    std::shared_ptr<const StreamStatus> stream;
    EXPECT_TRUE(
        source_
            ->AddListener(
                {.endpoint = port_.endpoint(), .replay_port = 5558, .allow_host_names = allow},
                [&](const DiscoveredStream& discovered) {
                  stream = discovered.status;
                  found = true;
                  return true;
                },
                nullptr)
            .ok());
    StartEngine({.event_endpoint = port_.endpoint(),
                 .replay_endpoint = "",
                 .connect = true,
                 .topic = "kv@" + host + "@m"});
    EXPECT_TRUE(Until([&] {
      Publish(1);
      return found.load();
    }));
    return stream;
  }

  const ReservedPort port_;
};

TEST_F(TopicHostTest, ANameInATopicIsAskedForOnlyWhereAllowed) {
  const auto stream = Discover("silent:8000", /*allow=*/false);
  EXPECT_EQ(stream->config.replay_endpoint, "");
  EXPECT_TRUE(Until([&] { return stream->batches.load() > 0; }));
  source_.reset();
  EXPECT_EQ(names_->asked(), 0);
}

TEST_F(TopicHostTest, WhereAllowedItHoldsNobodyUp) {
  const auto stream = Discover("silent:8000", /*allow=*/true);
  EXPECT_EQ(stream->config.replay_endpoint, "tcp://silent:5558");
  names_->AwaitAsked(1);
  StartEngine();
  Publish(3);
  Subscribe();
  EXPECT_TRUE(Until([&] { return stream_->trust.load() == Trust::kExact; })) << State();
}

TEST_F(TopicHostTest, AnAddressInATopicIsAlwaysAsked) {
  const auto stream = Discover("127.0.0.1:8000", /*allow=*/false);
  EXPECT_EQ(stream->config.replay_endpoint, "tcp://127.0.0.1:5558");
}

}  // namespace
}  // namespace kvroute
