// The replay sockets of a stream whose machine asks, with an engine that is not in a hurry.
#include <gtest/gtest.h>
#include <zmq.h>

#include <chrono>

#include "indexer/source/zmq/stream_worker.h"
#include "test/support/model_engine.h"
#include "tools/publisher/zmq_publisher.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ReplayedStreamTest : public testing::Test {
 protected:
  ReplayedStreamTest() : publisher_(*ZmqPublisher::Create(&engine_sockets_, {})) {
    for (int i = 0; i < 5; ++i) publisher_->Publish(engine_.Step());
    status_->config.replay_endpoint = publisher_->replay_endpoint();
    status_->id = (*registry_.Open(status_->config))->id;
    stream_ = std::make_unique<ReplayedStream>(
        LaneContext{.sockets = sockets_.get(),
                    .budget = &budget_,
                    .options = &options_,
                    .registry = &registry_,
                    .counters = &counters_,
                    .clock = &Clock::Real(),
                    .poll_set = &poll_set_,
                    .replays = &replays_,
                    .decoder = [this](EngineKind) { return &decoder_; }},
        status_);
  }

  void Work() { stream_->Work(Turn(&Clock::Real(), seconds(10))); }

  // The engine answers the next request, which is sent once there is a connection, and all of it is
  // where who asked can read it: a client that asks later, over the same threads, has had its
  // answer.
  void Answer() {
    while (publisher_->Serve(milliseconds(1)) == 0) Work();
    const auto later = *ZmqSocket::Open(sockets_.get(), ZMQ_DEALER);
    ASSERT_TRUE(later->Connect("replay_endpoint", publisher_->replay_endpoint()).ok());
    const std::string from(8, '\x7f');
    zmq_send(later->get(), "", 0, ZMQ_SNDMORE);
    zmq_send(later->get(), from.data(), from.size(), 0);
    while (publisher_->Serve(milliseconds(1)) == 0) {
    }
    Multipart reply;
    while (!reply.ReceiveFrom(later->get())) {
    }
  }
  void WorkUntilExact() {
    while (status_->trust.load() != Trust::kExact) {
      publisher_->Serve(milliseconds(1));
      Work();
    }
  }

  ZmqContext engine_sockets_;
  std::unique_ptr<ZmqPublisher> publisher_;
  ModelEngine engine_{5};
  const std::unique_ptr<SocketContext> sockets_ = *SocketContext::Open(1);
  ZmqSourceOptions options_;
  PrefixIndex index_;
  StreamRegistry registry_{&index_, 1};
  IngestCounters counters_;
  PollSet poll_set_;
  SocketBudget budget_{{.sockets = 100, .descriptors = 100}, &counters_};
  ReplayQueue replays_{1, &budget_, &counters_, &poll_set_, &Clock::Real()};
  Decoder decoder_;
  std::shared_ptr<StreamStatus> status_ = std::make_shared<StreamStatus>();
  std::unique_ptr<ReplayedStream> stream_;
};

// Only the end marker comes of it: the new one would take it that the engine does not know its last
// batch, and has restarted.
TEST_F(ReplayedStreamTest, WhatComesOfAReplayIsNotTakenForTheNextOnes) {
  stream_->machine().OnConnected();
  Work();
  WorkUntilExact();
  for (int round = 0; round < 3; ++round) {
    stream_->machine().OnDisconnected();
    stream_->machine().OnConnected();
    Work();
    publisher_->faults().drop_replies = 1;
    Answer();
    stream_->machine().OnDisconnected();
    stream_->machine().OnConnected();
    WorkUntilExact();
    EXPECT_EQ(status_->restarts.load(), 0u);
  }
  EXPECT_EQ(status_->next_seq.load(), 5u);
}

}  // namespace
}  // namespace kvroute
