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

class ReplayedStreamTest : public testing::Test {
 protected:
  ReplayedStreamTest() : publisher_(*ZmqPublisher::Create(&engine_sockets_, {})) {
    for (int i = 0; i < 5; ++i) publisher_->Publish(engine_.Step());
    status_->config.replay_endpoint = publisher_->replay_endpoint();
    status_->id = (*registry_.Open(status_->config))->id;
    stream_ = std::make_unique<ReplayedStream>(
        LaneContext{&sockets_, &options_, &registry_, &counters_, &Clock::Real(), &poll_set_,
                    [this](EngineKind) { return &decoder_; }},
        status_);
  }

  // The engine answers the next request, and all of it is where who asked can read it: a client
  // that asks later, over the same threads, has had its answer.
  void Answer() {
    while (publisher_->Serve(milliseconds(1)) == 0) {
    }
    ZmqSocket later(&sockets_, ZMQ_DEALER);
    ASSERT_TRUE(later.Connect("replay_endpoint", publisher_->replay_endpoint()).ok());
    const std::string from(8, '\x7f');
    zmq_send(later.get(), "", 0, ZMQ_SNDMORE);
    zmq_send(later.get(), from.data(), from.size(), 0);
    while (publisher_->Serve(milliseconds(1)) == 0) {
    }
    Multipart reply;
    while (!reply.ReceiveFrom(later.get())) {
    }
  }
  void WorkUntilExact() {
    while (status_->trust.load() != Trust::kExact) {
      publisher_->Serve(milliseconds(1));
      stream_->Work();
    }
  }

  ZmqContext engine_sockets_;
  std::unique_ptr<ZmqPublisher> publisher_;
  ModelEngine engine_{5};
  SocketContext sockets_{1};
  ZmqSourceOptions options_;
  PrefixIndex index_;
  StreamRegistry registry_{&index_, 1};
  IngestCounters counters_;
  PollSet poll_set_;
  Decoder decoder_;
  std::shared_ptr<StreamStatus> status_ = std::make_shared<StreamStatus>();
  std::unique_ptr<ReplayedStream> stream_;
};

// Only the end marker comes of it: the new one would take it that the engine does not know its last
// batch, and has restarted.
TEST_F(ReplayedStreamTest, WhatComesOfAReplayIsNotTakenForTheNextOnes) {
  stream_->machine().OnConnected();
  stream_->Work();
  WorkUntilExact();
  for (int round = 0; round < 3; ++round) {
    stream_->machine().OnDisconnected();
    stream_->machine().OnConnected();
    stream_->Work();
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
