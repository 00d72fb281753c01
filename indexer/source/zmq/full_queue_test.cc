// A connection is lost while libzmq holds messages back for want of room in a socket's queue:
// libzmq ends the process when another is made for the same queue, or when it has something to say
// by the lost one (docs/decisions/0027).
#include <gtest/gtest.h>
#include <zmq.h>

#include <chrono>
#include <memory>
#include <string>

#include "indexer/source/zmq/event_subscription.h"
#include "test/support/zmtp_engine.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using testing_support::ZmtpEngine;

constexpr int kMessages = 12;

class FullQueueTest : public testing::Test {
 protected:
  FullQueueTest() : context_(*SocketContext::Open(1)) {
    options_.receive_high_water_mark = 2;
    options_.reconnect_min = milliseconds(10);
    options_.reconnect_max = milliseconds(10);
  }

  // The rest does not find room, and waits in libzmq as it came.
  static std::string MoreThanHasRoom() {
    std::string bytes;
    for (int i = 0; i < kMessages; ++i) bytes += ZmtpEngine::Message("message");
    return bytes;
  }
  static bool Readable(int fd, int within_ms = 20) {
    zmq_pollitem_t item{nullptr, fd, ZMQ_POLLIN, 0};
    return zmq_poll(&item, 1, within_ms) == 1;
  }
  // Everything that happened to sockets of the context before has been seen to by its thread.
  void AwaitContext() {
    ZmtpEngine engine("PUB");
    auto socket = ZmqSocket::Open(context_.get(), ZMQ_SUB);
    ASSERT_TRUE(socket.ok()) << socket.status();
    (*socket)->Subscribe("");
    ASSERT_TRUE((*socket)->Connect("event_endpoint", engine.endpoint()).ok());
    engine.Accept();
    engine.Send(ZmtpEngine::Message("seen"));
    Multipart message;
    while (!message.ReceiveFrom((*socket)->get())) (void)Readable((*socket)->fd());
  }
  void Subscribe(ZmtpEngine* engine) {
    StreamConfig config;
    config.event_endpoint = engine->endpoint();
    auto reader = EventSubscription::Connect(context_.get(), &budget_, options_, config);
    ASSERT_TRUE(reader.ok()) << reader.status();
    reader_ = *std::move(reader);
    AcceptSubscription(engine);
  }
  void AcceptSubscription(ZmtpEngine* engine) {
    engine->Accept();
    EXPECT_EQ(engine->ReadFrame(), "\1");
    while (reader_->NextChange() != EventSubscription::Change::kConnected) {
      (void)Readable(reader_->monitor_fd());
    }
  }
  std::unique_ptr<ZmqSocket> OpenReplay(const ZmtpEngine& engine) {
    auto socket = ZmqSocket::Open(context_.get(), ZMQ_DEALER);
    EXPECT_TRUE(socket.ok()) << socket.status();
    (*socket)->ApplyCommonOptions(options_);
    (*socket)->Reconnect(options_);
    EXPECT_TRUE((*socket)->Connect("replay_endpoint", engine.endpoint()).ok());
    return *std::move(socket);
  }
  int ReadAll() {
    int count = 0;
    while (reader_->Receive(&message_)) ++count;
    return count;
  }
  void ExpectANewConnectionServes(ZmtpEngine* engine) {
    reader_->Reconnect();
    EXPECT_FALSE(reader_->lost());
    AcceptSubscription(engine);
    engine->Send(ZmtpEngine::Message("next"));
    while (!reader_->Receive(&message_)) (void)Readable(reader_->event_fd());
    EXPECT_EQ(message_.frames()[0], "next");
  }

  const std::unique_ptr<SocketContext> context_;
  ZmqSourceOptions options_;
  IngestCounters counters_;
  SocketBudget budget_{{.sockets = 100, .descriptors = 100}, &counters_};
  std::unique_ptr<EventSubscription> reader_;
  Multipart message_;
};

TEST_F(FullQueueTest, AnEndInOrderLosesNothing) {
  ZmtpEngine engine("PUB");
  Subscribe(&engine);
  engine.Send(MoreThanHasRoom());
  engine.Close();
  AwaitContext();
  int read = 0;
  while (read < kMessages) {
    read += ReadAll();
    (void)Readable(reader_->event_fd());
  }
  while (!reader_->lost()) (void)reader_->NextChange();
  ExpectANewConnectionServes(&engine);
}

TEST_F(FullQueueTest, APingBehindItIsNotAnsweredByAConnectionThatWasReset) {
  ZmtpEngine engine("PUB");
  Subscribe(&engine);
  engine.Send(MoreThanHasRoom() + ZmtpEngine::Ping() + MoreThanHasRoom());
  AwaitContext();
  engine.Reset();
  AwaitContext();
  int read = 0;
  for (int i = 0; i < kMessages; ++i, AwaitContext()) read += ReadAll();  // as there is room
  EXPECT_LT(read, kMessages);
  EXPECT_TRUE(reader_->lost());
  EXPECT_FALSE(reader_->HasUnread());
  EXPECT_EQ(reader_->NextChange(), EventSubscription::Change::kDisconnected);
  EXPECT_EQ(reader_->NextChange(), std::nullopt);
  ExpectANewConnectionServes(&engine);
}

TEST_F(FullQueueTest, NoHeartbeatIsSentByAConnectionThatWasReset) {
  options_.heartbeat_interval = milliseconds(20);
  ZmtpEngine engine("PUB");
  Subscribe(&engine);
  engine.Send(MoreThanHasRoom());
  AwaitContext();
  engine.Reset();
  EXPECT_FALSE(Readable(reader_->monitor_fd(), /*within_ms=*/200)) << "nothing is told of it";
  (void)ReadAll();
  ExpectANewConnectionServes(&engine);
}

TEST_F(FullQueueTest, AReplaySocketConnectsAgainOnceItsQueueIsRead) {
  ZmtpEngine engine("ROUTER");
  const auto socket = OpenReplay(engine);
  const auto ask = [&] {
    while (!socket->CanSend()) (void)Readable(socket->fd());
    return zmq_send(socket->get(), "ask", 3, ZMQ_DONTWAIT) == 3;
  };
  engine.Accept();
  ASSERT_TRUE(ask());
  EXPECT_EQ(engine.ReadFrame(), "ask");
  engine.Send(MoreThanHasRoom());
  AwaitContext();
  engine.Reset();
  AwaitContext();
  while (!engine.IsCalled()) {  // once all of the queue has been read
    if (!message_.ReceiveFrom(socket->get())) (void)Readable(socket->fd());
  }
  engine.Accept();
  ASSERT_TRUE(ask());
  EXPECT_EQ(engine.ReadFrame(), "ask");
}

// libzmq looks for what has happened to connections at each 100th frame that is read, wherever in
// a message that is.
TEST_F(FullQueueTest, AReplyIsReadToItsEndWhateverHappensToItsConnection) {
  constexpr int kReplies = 120;
  options_.receive_high_water_mark = 1'000;
  for (const int frames : {2, 3, 5}) {
    ZmtpEngine engine("ROUTER");
    const auto socket = OpenReplay(engine);
    engine.Accept();
    for (int i = 0; i < kReplies; ++i) {
      for (int frame = 1; frame < frames; ++frame) engine.Send(ZmtpEngine::Part("part"));
      engine.Send(ZmtpEngine::Message("end"));
    }
    AwaitContext();
    engine.Close();
    AwaitContext();
    for (int i = 0; i < kReplies; ++i) {
      ASSERT_TRUE(message_.ReceiveFrom(socket->get())) << i << " of " << frames << " frames";
      EXPECT_EQ(message_.frames().size(), static_cast<size_t>(frames));
    }
  }
}

TEST_F(FullQueueTest, WhatHasBeenPeekedAtGoesWithItsConnection) {
  ZmtpEngine engine("PUB"), other("PUB");
  Subscribe(&engine);
  engine.Send(ZmtpEngine::Part("of") + ZmtpEngine::Part("three") + ZmtpEngine::Message("frames"));
  while (!reader_->HasUnread()) (void)Readable(reader_->event_fd());
  ASSERT_TRUE(reader_->ConnectTo(other.endpoint()).ok());
  AcceptSubscription(&other);
  other.Send(ZmtpEngine::Message("next"));
  while (!reader_->Receive(&message_)) (void)Readable(reader_->event_fd());
  EXPECT_EQ(message_.frames()[0], "next");
}

}  // namespace
}  // namespace kvroute
