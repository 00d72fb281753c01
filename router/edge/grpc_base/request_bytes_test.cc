#include "router/edge/grpc_base/request_bytes.h"

#include <gtest/gtest.h>

#include <string>

#include "kvroute/v1/fleet.pb.h"
#include "kvroute/v1/router.pb.h"

namespace kvroute {
namespace {

grpc::ByteBuffer BufferOf(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

// What it says is never less than what protobuf takes, and for what clients send not much more.
template <typename Message>
void ExpectCovers(const std::string& bytes, double most_times) {
  Message message;
  ASSERT_TRUE(message.ParseFromString(bytes));
  const absl::StatusOr<uint64_t> estimate = ParsedBytes(Message::descriptor(), BufferOf(bytes));
  ASSERT_TRUE(estimate.ok()) << estimate.status();
  EXPECT_GE(*estimate, message.SpaceUsedLong());
  EXPECT_LE(static_cast<double>(*estimate),
            most_times * static_cast<double>(message.SpaceUsedLong()));
}

TEST(RequestBytesTest, AMessageTakesNoMoreThanIsSaid) {
  v1::RegisterRequest worker;
  worker.mutable_worker()->set_worker_id("a worker");
  for (uint32_t i = 0; i < 1'000; ++i) {
    v1::RankOverride* rank = worker.mutable_worker()->add_rank_overrides();
    rank->set_rank(i);
    rank->set_event_endpoint("tcp://somewhere.in.the.cluster:5557");
  }
  ExpectCovers<v1::RegisterRequest>(worker.SerializeAsString(), 1.6);
  v1::RouteRequest request;
  request.mutable_prompt()->mutable_token_ids()->Resize(100'000, 7);
  for (int i = 0; i < 5'000; ++i) request.add_candidates()->set_worker_id("w");
  ExpectCovers<v1::RouteRequest>(request.SerializeAsString(), 2.1);
}

// Two bytes each.
TEST(RequestBytesTest, FewBytesThatAreMuchMemoryAreSeen) {
  std::string overrides, unknown, number_for_text, text_for_number;
  for (int i = 0; i < 20'000; ++i) {
    overrides += std::string("\x52\x00", 2);
    unknown += std::string("\xf8\x07\x01", 3);       // field 127
    number_for_text += std::string("\x08\x01", 2);   // worker_id
    text_for_number += std::string("\x2a\x01x", 3);  // block_size_tokens
  }
  ExpectCovers<v1::Worker>(overrides, 2.0);
  ExpectCovers<v1::Worker>(unknown, 4.0);
  ExpectCovers<v1::Worker>(number_for_text, 4.0);
  ExpectCovers<v1::Worker>(text_for_number, 4.0);
  ExpectCovers<v1::Worker>("\xfb\x07" + number_for_text + "\xfc\x07", 8.0);  // a group
  MemoryBudget budget(uint64_t{1} << 20);
  MemoryShare share(&budget, MemoryBudget::kUnlimited);
  EXPECT_EQ(TakeParsedBytes(v1::Worker::descriptor(), BufferOf(overrides), &share).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(budget.used(), 0u);
  EXPECT_TRUE(
      TakeParsedBytes(v1::Worker::descriptor(), BufferOf(overrides.substr(0, 10'000)), &share)
          .ok());
  EXPECT_GT(budget.used(), 400'000u);
}

TEST(RequestBytesTest, WhatIsNoMessageIsRefused) {
  for (const std::string& bytes :
       {std::string("\x0a\x05hi", 4), std::string("\x0b\x0a", 2), std::string("\xff", 1),
        std::string("\x0a\xff\xff\xff\xff\x7f", 6)}) {
    EXPECT_FALSE(ParsedBytes(v1::Worker::descriptor(), BufferOf(bytes)).ok());
  }
}

}  // namespace
}  // namespace kvroute
