// What a socket queues is bounded by bytes, though libzmq counts messages.
#include <gtest/gtest.h>

#include <string>

#include "indexer/source/zmq/event_subscription.h"

namespace kvroute {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;

TEST(QueueMemoryTest, TheMarkIsWhatTheLargestBatchesDemand) {
  ZmqSourceOptions options;
  EXPECT_EQ(QueuedBatches(options), options.receive_high_water_mark);
  MemoryBudget much(4'096 * kMebibyte);
  options.received_memory = &much;
  EXPECT_EQ(QueuedBatches(options), 32);  // half of it, of 64 MiB each
  options.receive_high_water_mark = 7;
  EXPECT_EQ(QueuedBatches(options), 7);
  MemoryBudget little(16 * kMebibyte);
  options.received_memory = &little;
  EXPECT_EQ(QueuedBatches(options), 2);
}

// A publisher that loses nothing sends until everything between the two is full: its own queue, the
// system's buffers, and what libzmq queues for a reader that is busy. Once it reads, all comes.
TEST(QueueMemoryTest, ABusyReaderIsSentNoMoreThanItHasRoomFor) {
  constexpr int kMost = 40;
  MemoryBudget received(16 * kMebibyte);
  ZmqSourceOptions options;
  options.received_memory = &received;
  const auto opened = SocketContext::Open(1);
  ASSERT_TRUE(opened.ok()) << opened.status();
  SocketContext& context = **opened;
  void* const publisher = zmq_socket(context.get(), ZMQ_XPUB);
  const int one = 1;
  const int none = 0;
  zmq_setsockopt(publisher, ZMQ_SNDHWM, &one, sizeof(one));
  zmq_setsockopt(publisher, ZMQ_XPUB_NODROP, &one, sizeof(one));
  zmq_setsockopt(publisher, ZMQ_LINGER, &none, sizeof(none));
  ASSERT_EQ(zmq_bind(publisher, "tcp://127.0.0.1:*"), 0);
  char endpoint[256];
  size_t size = sizeof(endpoint);
  zmq_getsockopt(publisher, ZMQ_LAST_ENDPOINT, endpoint, &size);
  StreamConfig config;
  config.event_endpoint = endpoint;
  IngestCounters counters;
  SocketBudget budget({.sockets = 100, .descriptors = 100}, &counters);
  auto reader = EventSubscription::Connect(&context, &budget, options, config);
  ASSERT_TRUE(reader.ok()) << reader.status();
  char subscription[8];
  ASSERT_GE(zmq_recv(publisher, subscription, sizeof(subscription), 0), 1);

  const std::string large(4 * kMebibyte, 'x');
  int sent = 0;
  for (; sent < kMost; ++sent) {
    zmq_pollitem_t writable{publisher, 0, ZMQ_POLLOUT, 0};
    if (zmq_poll(&writable, 1, 1'000) == 0) break;  // full
    if (zmq_send(publisher, large.data(), large.size(), ZMQ_DONTWAIT) < 0) break;
  }
  EXPECT_LT(sent, 12) << "of 4 MiB each, to a queue of two";
  Multipart message;
  for (int got = 0; got < sent;) {
    if ((*reader)->Receive(&message)) {
      ++got;
      continue;
    }
    zmq_pollitem_t readable{nullptr, (*reader)->event_fd(), ZMQ_POLLIN, 0};
    ASSERT_GT(zmq_poll(&readable, 1, 30'000), 0) << "after " << got << " of " << sent;
  }
  zmq_close(publisher);
}

}  // namespace
}  // namespace kvroute
