// The malformed messages and payloads of test/vectors, published over a real socket: each is
// dropped or left out and counted, and the next good batch is applied.
#include <zmq.h>

#include <vector>

#include "absl/strings/escaping.h"
#include "indexer/source/zmq/frames.h"
#include "test/support/vectors.h"
#include "test/support/wire_builder.h"
#include "test/support/zmq_source_fixture.h"

namespace kvroute {
namespace {

// An engine that can publish anything at all.
class ZmqSourceVectorsTest : public ZmqSourceFixture {
 protected:
  ZmqSourceVectorsTest() : socket_(zmq_socket(sockets_.get(), ZMQ_PUB)) {}
  ~ZmqSourceVectorsTest() override {
    source_.reset();
    zmq_close(socket_);
  }

  // Until batch 0, which holds nothing, has come through: seen from its start the stream is exact.
  void SubscribeFromTheStart() {
    ASSERT_EQ(zmq_bind(socket_, "tcp://127.0.0.1:*"), 0);
    std::array<char, 256> endpoint{};
    size_t size = endpoint.size();
    ASSERT_EQ(zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, endpoint.data(), &size), 0);
    StreamConfig config;
    config.worker_id = "w";
    config.event_endpoint = endpoint.data();
    Subscribe(config);
    ASSERT_TRUE(Until([&] {
      Send(0, std::string("\x93\x00\x90\xc0", 4));
      return stream_->trust.load() == Trust::kExact;
    })) << State();
  }
  void Send(const std::vector<std::string>& frames) {
    for (size_t i = 0; i < frames.size(); ++i) {
      const int more = i + 1 < frames.size() ? ZMQ_SNDMORE : 0;
      ASSERT_EQ(zmq_send(socket_, frames[i].data(), frames[i].size(), more),
                static_cast<int>(frames[i].size()));
    }
  }
  void Send(uint64_t seq, const std::string& payload) {
    const auto number = EncodeSequence(seq);
    Send({"", std::string(number.begin(), number.end()), payload});
  }
  bool UntilNext(uint64_t seq) {
    return Until([&] { return stream_->next_seq.load() == seq; });
  }

  void* const socket_;
};

TEST_F(ZmqSourceVectorsTest, MalformedMessagesAreCountedAndTheNextGoodBatchApplies) {
  const nlohmann::json vectors = ReadVectorJson("frames.json");
  SubscribeFromTheStart();
  uint64_t bad = 0;
  std::string good;
  for (const auto& entry : vectors["pub"]) {
    const std::vector<std::string> frames = Unhex(entry["frames"]);
    if (!entry["expect"].get<std::string>().starts_with("drop")) {
      good = frames[2];
      continue;
    }
    ++bad;
    Send(frames);
  }
  ASSERT_GT(bad, 0u);
  Send(1, good);
  ASSERT_TRUE(UntilNext(2)) << State();
  EXPECT_EQ(counters_.malformed_messages.load(), bad);
  EXPECT_TRUE(UntilTrust(Trust::kExact)) << State();
  EXPECT_EQ(stream_->gaps.load(), 0u);
  EXPECT_EQ(index_.Stats().holdings, 1u);
}

TEST_F(ZmqSourceVectorsTest, MalformedPayloadsAreCountedByReasonAndTheNextGoodBatchApplies) {
  const nlohmann::json vectors = ReadVectorJson("index.json");
  const nlohmann::json frames = ReadVectorJson("frames.json");
  SubscribeFromTheStart();
  uint64_t seq = 1;
  uint64_t rejected = 0;
  for (const auto& entry : vectors["entries"]) {
    if (entry["kind"] != "malformed") continue;
    rejected += entry["expect"].get<std::string>().starts_with("reject_batch") ? 1 : 0;
    Send(seq++, ReadVector(entry["file"]));
  }
  ASSERT_GT(rejected, 0u);
  Send(seq++, std::string("\x93\x00\x91\x91\xb0", 5) + "AllBlocksCleared" + "\xc0");
  Send(seq++, Unhex(frames["pub"][0]["frames"])[2]);
  ASSERT_TRUE(UntilNext(seq)) << State();
  const auto sum = [](const auto& by_reason) {
    uint64_t all = 0;
    for (const auto& counter : by_reason) all += counter.load();
    return all;
  };
  EXPECT_EQ(sum(stream_->rejected_batches), rejected);
  EXPECT_EQ(sum(counters_.rejected_batches), rejected);
  EXPECT_GT(sum(stream_->skipped_events), 0u);
  EXPECT_EQ(stream_->rejected_batches[static_cast<size_t>(DecodeReason::kOk)].load(), 0u);
  EXPECT_TRUE(UntilTrust(Trust::kExact)) << State();
  EXPECT_EQ(stream_->reason.load(), TrustReason::kClearedByEngine);
  EXPECT_EQ(index_.Stats().holdings, 1u);
}

// ingest.media reaches the decoder of every lane.
TEST_F(ZmqSourceVectorsTest, AMediumThatTheDeploymentNamesIsItsTier) {
  options_.media = {{"MARS", Tier::kDisk}};
  SubscribeFromTheStart();
  Send(1, wire::Batch({wire::StoredMap({{"medium", wire::Str("mars")}})}));
  ASSERT_TRUE(UntilNext(2)) << State();
  EXPECT_TRUE(UntilTrust(Trust::kExact)) << State();
  EXPECT_EQ(index_.Stats().holdings, 1u);
  Send(2, wire::Batch({wire::StoredMap({{"medium", wire::Str("VENUS")}})}));
  ASSERT_TRUE(UntilNext(3)) << State();
  EXPECT_TRUE(UntilTrust(Trust::kDegraded)) << State();
  EXPECT_EQ(stream_->reason.load(), TrustReason::kUnknownMedium);
}

}  // namespace
}  // namespace kvroute
