#include "indexer/stream/sequence_tracker.h"

#include <gtest/gtest.h>

#include <string>

namespace kvroute {
namespace {

PayloadDigest Of(uint64_t seq) { return DigestPayload("batch " + std::to_string(seq)); }

SequenceTracker Applied(uint64_t batches) {
  SequenceTracker tracker;
  for (uint64_t seq = 0; seq < batches; ++seq) {
    EXPECT_EQ(tracker.AdmitLive(seq, Of(seq)), Admission::kNext);
    tracker.Advance(Of(seq));
  }
  return tracker;
}

TEST(SequenceTrackerTest, TheSameBatchAgainIsADuplicateAnotherByItsNumberARestart) {
  SequenceTracker tracker = Applied(10);
  EXPECT_EQ(tracker.AdmitLive(9, Of(9)), Admission::kDuplicate);
  EXPECT_EQ(tracker.AdmitLive(3, Of(3)), Admission::kDuplicate);
  EXPECT_EQ(tracker.AdmitLive(9, Of(99)), Admission::kRestart);
  EXPECT_EQ(tracker.AdmitLive(0, Of(99)), Admission::kRestart);
}

TEST(SequenceTrackerTest, ANumberTooOldToCompareIsARestartWhenNumbersWentDown) {
  SequenceTracker tracker = Applied(1000);
  EXPECT_EQ(tracker.AdmitLive(1, Of(1)), Admission::kRestart);
}

TEST(SequenceTrackerTest, BatchesAReplayWasFasterWithAreDuplicates) {
  SequenceTracker tracker;
  for (uint64_t seq = 0; seq < 1000; ++seq) tracker.Advance(Of(seq));  // replayed
  EXPECT_EQ(tracker.AdmitLive(500, Of(500)), Admission::kDuplicate);
  EXPECT_EQ(tracker.AdmitLive(501, Of(501)), Admission::kDuplicate);
  EXPECT_EQ(tracker.AdmitLive(1000, Of(1000)), Admission::kNext);
}

TEST(SequenceTrackerTest, BehindANewConnectionOldNumbersAreARestart) {
  SequenceTracker tracker;
  for (uint64_t seq = 0; seq < 1000; ++seq) tracker.Advance(Of(seq));
  tracker.Reconnected();
  EXPECT_EQ(tracker.AdmitLive(500, Of(7500)), Admission::kRestart);
}

TEST(SequenceTrackerTest, GapsAreAhead) {
  SequenceTracker tracker = Applied(5);
  EXPECT_EQ(tracker.AdmitLive(7, Of(7)), Admission::kAhead);
  EXPECT_EQ(tracker.AdmitReplayed(6, Of(6)), Admission::kAhead);
  EXPECT_EQ(tracker.AdmitReplayed(5, Of(5)), Admission::kNext);
  EXPECT_EQ(tracker.AdmitReplayed(4, Of(4)), Admission::kDuplicate);
  EXPECT_EQ(tracker.AdmitReplayed(4, Of(44)), Admission::kRestart);
  EXPECT_TRUE(tracker.KnowsLast());
  tracker.JumpTo(7);
  EXPECT_FALSE(tracker.KnowsLast());
  EXPECT_EQ(tracker.next(), 7u);
}

TEST(SequenceTrackerTest, AnyNumberIsTheNextUntilOneIs) {
  SequenceTracker tracker = Applied(5);
  tracker.AcceptAny();
  EXPECT_EQ(tracker.AdmitLive(9, Of(9)), Admission::kNext);
  EXPECT_EQ(tracker.next(), 9u);
  EXPECT_EQ(tracker.AdmitLive(11, Of(11)), Admission::kAhead);
}

TEST(SequenceTrackerTest, AnyNumberIsTheNextNoLongerOnceABatchIsApplied) {
  SequenceTracker tracker = Applied(5);
  tracker.AcceptAny();
  tracker.Advance(Of(5));  // replayed
  EXPECT_EQ(tracker.AdmitLive(9, Of(9)), Admission::kAhead);
}

}  // namespace
}  // namespace kvroute
