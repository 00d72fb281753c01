// SMG's gateway at kvroute: its hashes, its holders, what it may ask besides.
#include <gmock/gmock.h>
#include <grpcpp/channel.h>
#include <gtest/gtest.h>

#include "kvroute/radix/radix_index.grpc.pb.h"
#include "test/support/server_fixture.h"

namespace kvroute {
namespace {

using radix_index::RadixIndex;
using testing::ElementsAre;
using testing::SizeIs;

// Tokens 1 to 4 and 5 to 8, as every implementation of the scheme hashes them.
constexpr uint64_t kFirst = 14643705804678351452u;
constexpr uint64_t kSecond = 16777012769546811212u;

class RadixServiceTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    stub_ = RadixIndex::NewStub(channel_);
    stream_ = stub_->Subscribe(&context_);
  }
  void TearDown() override {
    stream_->WritesDone();
    EXPECT_TRUE(stream_->Finish().ok());
    ServerTest::TearDown();
  }
  static radix_index::Query Ask(uint64_t id, const std::vector<uint64_t>& hashes,
                                uint32_t block_size = 4) {
    radix_index::Query query;
    query.set_query_id(id);
    query.mutable_keyspace()->set_model("m");
    query.mutable_keyspace()->set_symbol_kind(radix_index::TOKENS);
    query.mutable_keyspace()->set_block_size(block_size);
    for (const uint64_t hash : hashes) query.add_content_hashes(hash);
    return query;
  }
  radix_index::Match Answer(const radix_index::Query& query) {
    radix_index::Match match;
    EXPECT_TRUE(stream_->Write(query));
    EXPECT_TRUE(stream_->Read(&match));
    EXPECT_EQ(match.query_id(), query.query_id());
    return match;
  }
  uint64_t Count(RoutingStats::RadixResult result) const { return stats_.radix_queries[result]; }

  grpc::ClientContext context_;
  std::unique_ptr<RadixIndex::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<radix_index::Query, radix_index::Match>> stream_;
};

TEST_F(RadixServiceTest, AnswersTheVectorsByAddressLongestFirst) {
  AddWorker(Spec("a"));
  AddWorker(Spec("b"));
  AddWorker(Spec("c"));
  Store("a", Tokens(4));
  Store("b", Tokens(8));
  const radix_index::Match match = Answer(Ask(7, {kFirst, kSecond}));
  ASSERT_THAT(match.scores(), SizeIs(2));
  EXPECT_EQ(match.scores(0).holder(), "http://b:8000");
  EXPECT_EQ(match.scores(0).matched_blocks(), 2u);
  EXPECT_TRUE(match.scores(0).event_fed());
  ASSERT_THAT(match.scores(0).intervals(), SizeIs(1));
  EXPECT_EQ(match.scores(0).intervals(0).start(), 0u);
  EXPECT_EQ(match.scores(0).intervals(0).end(), 2u);
  EXPECT_EQ(match.scores(1).holder(), "http://a:8000");
  EXPECT_EQ(match.scores(1).matched_blocks(), 1u);
  EXPECT_EQ(Count(RoutingStats::kRadixScored), 1u);
  // The second block alone is another prompt's first.
  EXPECT_THAT(Answer(Ask(8, {kSecond})).scores(), SizeIs(0));
  EXPECT_EQ(Count(RoutingStats::kRadixEmpty), 1u);
}

TEST_F(RadixServiceTest, RanksBehindOneAddressAreOneHolder) {
  AddWorker(Spec("a", 3));
  Store("a", Tokens(4), 4, 0);
  Store("a", Tokens(8), 4, 2);
  const radix_index::Match match = Answer(Ask(1, {kFirst, kSecond}));
  ASSERT_THAT(match.scores(), SizeIs(1));
  EXPECT_EQ(match.scores(0).matched_blocks(), 2u);
}

TEST_F(RadixServiceTest, WhatCannotBeComparedHasNoScoresAndIsCounted) {
  AddWorker(Spec("a"));
  Store("a", Tokens(8));
  radix_index::Query bytes = Ask(1, {kFirst});
  bytes.mutable_keyspace()->set_symbol_kind(radix_index::BYTES);
  radix_index::Query scheme = Ask(2, {kFirst});
  scheme.mutable_keyspace()->set_hash_scheme(2);
  radix_index::Query unsized_blocks = Ask(3, {kFirst}, 0);
  for (const radix_index::Query& query : {bytes, scheme, unsized_blocks}) {
    EXPECT_THAT(Answer(query).scores(), SizeIs(0));
  }
  EXPECT_EQ(Count(RoutingStats::kRadixKeyspace), 3u);
  EXPECT_THAT(Answer(Ask(4, {kFirst}, 16)).scores(), SizeIs(0)) << "blocks of another size";
  radix_index::Query other = Ask(5, {kFirst});
  other.mutable_keyspace()->set_model("of nobody");
  EXPECT_THAT(Answer(other).scores(), SizeIs(0));
  EXPECT_THAT(Answer(Ask(6, {})).scores(), SizeIs(0));
  EXPECT_GE(Count(RoutingStats::kRadixRefused), 1u);
  // The stream goes on, and scheme 1 may be named.
  scheme.mutable_keyspace()->set_hash_scheme(1);
  EXPECT_THAT(Answer(scheme).scores(), SizeIs(1));
}

TEST_F(RadixServiceTest, PlacementsAreAcknowledgedAndNotApplied) {
  AddWorker(Spec("a"));
  grpc::ClientContext context;
  const auto publish = stub_->Publish(&context);
  for (uint64_t seq = 0; seq < 3; ++seq) {
    radix_index::Update update;
    update.set_holder("http://a:8000");
    update.set_epoch(9);
    update.set_seq(seq);
    ASSERT_TRUE(publish->Write(update));
    radix_index::PublishAck ack;
    ASSERT_TRUE(publish->Read(&ack));
    EXPECT_EQ(ack.holder(), "http://a:8000");
    EXPECT_EQ(ack.epoch(), 9u);
    EXPECT_EQ(ack.applied_seq(), seq);
  }
  publish->WritesDone();
  EXPECT_TRUE(publish->Finish().ok());
  EXPECT_EQ(stats_.radix_updates, 3u);
  EXPECT_THAT(Answer(Ask(1, {kFirst})).scores(), SizeIs(0));
}

TEST_F(RadixServiceTest, ItsStreamsShareTheLimitOfTheOthers) {
  Answer(Ask(1, {kFirst}));
  EXPECT_EQ(stats_.open_rpc_streams, 1u);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReaderWriter<radix_index::Query, radix_index::Match>>>
      streams;
  for (int i = 0; i < 4; ++i) {  // max_streams is 4
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    streams.push_back(stub_->Subscribe(contexts.back().get()));
    radix_index::Match match;
    const bool answered = streams.back()->Write(Ask(2, {kFirst})) && streams.back()->Read(&match);
    EXPECT_EQ(answered, i < 3);
  }
  EXPECT_EQ(streams.back()->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  streams.pop_back();
  for (const auto& stream : streams) {
    stream->WritesDone();
    EXPECT_TRUE(stream->Finish().ok());
  }
}

}  // namespace
}  // namespace kvroute
