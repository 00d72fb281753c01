// Whatever bytes a request comes in, its prompt's numbers are those that protobuf reads, and the
// rest of it is what protobuf reads without them.
#include "router/edge/grpc_v1/prompt_numbers.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "indexer/base/limits.h"
#include "kvroute/v1/router.pb.h"

namespace kvroute {
namespace {

using testing::ElementsAreArray;
using testing::HasSubstr;
using v1::RouteRequest;

// In pieces of up to so many bytes, as they might come from a network.
grpc::ByteBuffer InPieces(std::string_view bytes, size_t most, std::mt19937* random) {
  std::vector<grpc::Slice> pieces;
  while (!bytes.empty()) {
    const size_t size = std::min(bytes.size(), 1 + (*random)() % most);
    pieces.emplace_back(bytes.data(), size);
    bytes.remove_prefix(size);
  }
  return grpc::ByteBuffer(pieces.data(), pieces.size());
}

RouteRequest Parsed(grpc::ByteBuffer bytes) {
  RouteRequest request;
  EXPECT_TRUE(grpc::SerializationTraits<RouteRequest>::Deserialize(&bytes, &request).ok());
  return request;
}

class PromptNumbersTest : public testing::Test {
 protected:
  RouteRequest Request(size_t tokens, size_t hashes) {
    RouteRequest request;
    request.set_model("m");
    request.set_request_id("r");
    request.add_candidates()->set_worker_id("w");
    for (size_t i = 0; i < tokens; ++i) {
      request.mutable_prompt()->add_token_ids(static_cast<uint32_t>(random_()));
    }
    for (size_t i = 0; i < hashes; ++i) {
      request.mutable_prompt()->mutable_block_hashes()->add_hashes(uint64_t{random_()} << 30);
    }
    if (hashes != 0) request.mutable_prompt()->mutable_block_hashes()->set_block_size_tokens(16);
    request.mutable_prompt()->add_multimodal()->set_identifier("picture");
    return request;
  }
  // Puts what was taken back into what was left, and compares.
  void ExpectSame(const std::string& bytes, size_t most_in_piece) {
    RouteRequest whole;
    ASSERT_TRUE(whole.ParseFromString(bytes));
    grpc::ByteBuffer message = InPieces(bytes, most_in_piece, &random_);
    LongNumbers numbers;
    const absl::Status taken = TakePromptNumbers(&message, &numbers);
    ASSERT_TRUE(taken.ok()) << taken;
    RouteRequest rest = Parsed(message);
    if (!numbers.words.empty()) {
      EXPECT_EQ(rest.prompt().token_ids_size(), 0);
      rest.mutable_prompt()->mutable_token_ids()->Add(numbers.words.begin(), numbers.words.end());
    }
    if (!numbers.longs.empty()) {
      EXPECT_EQ(rest.prompt().block_hashes().hashes_size(), 0);
      rest.mutable_prompt()->mutable_block_hashes()->mutable_hashes()->Add(numbers.longs.begin(),
                                                                           numbers.longs.end());
    }
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(rest, whole));
    last_ = std::move(numbers);
  }
  absl::Status Take(const std::string& bytes) {
    grpc::ByteBuffer message = InPieces(bytes, 1'000'000, &random_);
    LongNumbers numbers;
    return TakePromptNumbers(&message, &numbers);
  }

  std::mt19937 random_{17};
  LongNumbers last_;
};

TEST_F(PromptNumbersTest, WhatClientsSendIsTaken) {
  for (const size_t most : {1, 7, 4'096, 1'000'000}) {
    ExpectSame(Request(40'000, 0).SerializeAsString(), most);
    EXPECT_EQ(last_.words.size(), 40'000u);
    ExpectSame(Request(0, 9'000).SerializeAsString(), most);
    EXPECT_EQ(last_.longs.size(), 9'000u);
    ExpectSame(Request(3, 2).SerializeAsString(), most);
    EXPECT_TRUE(last_.empty());
  }
}

// A message may be cut in two and put together again, and a list may come one by one.
TEST_F(PromptNumbersTest, WhatIsOtherwiseTheSameIsReadTheSame) {
  const std::string parts[] = {
      Request(5'000, 0).SerializeAsString(),
      Request(0, 5'000).SerializeAsString(),
      Request(300, 300).SerializeAsString(),
      Request(7'000, 7'000).SerializeAsString(),
      std::string("\x12\x05\x0d\x01\x02\x03\x04", 7),  // one token, by itself
      std::string("\x12\x0b\x12\x09\x11\x01\x02\x03\x04\x05\x06\x07\x08", 13),  // one hash
      std::string("\x12\x00", 2),
      std::string("\xa2\x06\x02hi", 5)};  // unknown
  for (int round = 0; round < 300; ++round) {
    std::string bytes;
    for (int i = 0; i < 4; ++i) bytes += parts[random_() % std::size(parts)];
    ExpectSame(bytes, 1 + random_() % 10'000);
  }
}

TEST_F(PromptNumbersTest, MoreThanARequestMayHaveIsRefusedBeforeItIsRead) {
  EXPECT_THAT(
      std::string(Take(Request(limits::kMaxPromptTokens + 1, 0).SerializeAsString()).message()),
      HasSubstr("prompt.token_ids: 4194305 tokens; the limit is 4194304"));
  EXPECT_THAT(
      std::string(Take(Request(0, limits::kMaxPromptBlocks + 1).SerializeAsString()).message()),
      HasSubstr("prompt.block_hashes.hashes: 262145 blocks; the limit is 262144"));
  std::string candidates, inputs;
  for (int i = 0; i < 200'000; ++i) {
    candidates += std::string("\x2a\x00", 2);
    inputs += std::string("\x12\x02\x1a\x00", 4);
  }
  EXPECT_THAT(std::string(Take(candidates).message()), HasSubstr("candidates: 200000"));
  EXPECT_THAT(std::string(Take(inputs).message()), HasSubstr("prompt.multimodal: 200000"));
}

TEST_F(PromptNumbersTest, WhatIsNoMessageIsRefused) {
  const std::string good = Request(5'000, 5'000).SerializeAsString();
  for (int round = 0; round < 2'000; ++round) {
    std::string bytes = good.substr(0, good.size() - random_() % 50);
    for (int i = 0; i < 3; ++i) {
      bytes[random_() % (random_() % 2 == 0 ? bytes.size() : 40)] = static_cast<char>(random_());
    }
    RouteRequest whole;
    grpc::ByteBuffer message = InPieces(bytes, 3'000, &random_);
    LongNumbers numbers;
    if (!TakePromptNumbers(&message, &numbers).ok()) continue;
    if (whole.ParseFromString(bytes)) ExpectSame(bytes, 3'000);
  }
}

// Copied while its bytes are freed: no more than one of its pieces is there twice.
TEST_F(PromptNumbersTest, ALongPromptIsNeverThereTwice) {
  constexpr size_t kPiece = 65'536;
  const std::string bytes = Request(2'000'000, 0).SerializeAsString();
  std::vector<grpc::Slice> pieces;
  for (size_t at = 0; at < bytes.size(); at += kPiece) {
    pieces.emplace_back(bytes.data() + at, std::min(kPiece, bytes.size() - at));
  }
  grpc::ByteBuffer message(pieces.data(), pieces.size());
  pieces.clear();
  LongNumbers numbers;
  ASSERT_TRUE(TakePromptNumbers(&message, &numbers).ok());
  EXPECT_EQ(numbers.words.size(), 2'000'000u);
  EXPECT_EQ(numbers.words.capacity(), 2'000'000u);
  EXPECT_LT(message.Length(), 100u);
}

}  // namespace
}  // namespace kvroute
