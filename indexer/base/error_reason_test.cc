#include "indexer/base/error_reason.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "indexer/base/api_limits.h"
#include "indexer/base/error.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(ErrorReasonTest, WhatWasSaidComesBackAndTheStatusStaysWhatItIs) {
  const absl::Status status = WithReason(absl::NotFoundError("model: nobody serves it"),
                                         ErrorReason::kUnknownModel, {{"model", "m"}, {"b", ""}});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(MessageOf(status), "model: nobody serves it");
  const ErrorDetail detail = DetailOf(status);
  EXPECT_EQ(detail.reason, ErrorReason::kUnknownModel);
  EXPECT_THAT(detail.facts, ElementsAre(Pair("model", "m"), Pair("b", "")));
}

TEST(ErrorReasonTest, ValuesFromOutsideBecomeOneLineOfBoundedText) {
  const std::string wild = std::string("a\0b\nc\xff", 6) + std::string(5'000, 'x');
  const ErrorDetail detail =
      DetailOf(WithReason(absl::NotFoundError("no"), ErrorReason::kUnknownWorker, {{"id", wild}}));
  ASSERT_EQ(detail.facts.size(), 1U);
  const std::string& value = detail.facts[0].second;
  EXPECT_EQ(value.find('\0'), std::string::npos);
  EXPECT_EQ(value.find('\n'), std::string::npos);
  EXPECT_LE(value.size(), 8 * limits::kMaxErrorFactBytes);  // what is escaped takes more
}

TEST(ErrorReasonTest, OfAnInvalidFieldTheFieldIsNamed) {
  const ErrorDetail detail =
      DetailOf(InvalidArgument("rank_overrides.rank: {}; data_parallel_size is {}", 3, 2));
  EXPECT_EQ(detail.reason, ErrorReason::kInvalidField);
  EXPECT_THAT(detail.facts, ElementsAre(Pair("field", "rank_overrides.rank")));
}

TEST(ErrorReasonTest, OfALimitTheLimitIsNamed) {
  const ErrorDetail detail =
      DetailOf(absl::ResourceExhaustedError("max_streams: 9; the limit is 8"));
  EXPECT_EQ(detail.reason, ErrorReason::kLimitReached);
  EXPECT_THAT(detail.facts, ElementsAre(Pair("limit", "max_streams")));
}

TEST(ErrorReasonTest, AMessageThatBeginsWithNoNameNamesNone) {
  for (const char* message : {"no such thing", "The model: x", "model", "model:x", ": x", ""}) {
    const ErrorDetail detail = DetailOf(absl::InvalidArgumentError(message));
    EXPECT_EQ(detail.reason, ErrorReason::kInvalidField);
    EXPECT_THAT(detail.facts, IsEmpty()) << message;
  }
}

TEST(ErrorReasonTest, EveryOtherCodeHasAReasonToo) {
  EXPECT_EQ(DetailOf(absl::DeadlineExceededError("late")).reason, ErrorReason::kDeadlinePassed);
  EXPECT_EQ(DetailOf(absl::UnauthenticatedError("who")).reason, ErrorReason::kUnauthenticated);
  EXPECT_EQ(DetailOf(absl::PermissionDeniedError("no")).reason, ErrorReason::kPermissionDenied);
  EXPECT_EQ(DetailOf(absl::InternalError("?")).reason, ErrorReason::kOther);
}

}  // namespace
}  // namespace kvroute
