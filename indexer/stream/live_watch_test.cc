#include "indexer/stream/live_watch.h"

#include <gtest/gtest.h>

namespace kvroute {
namespace {

TEST(LiveWatchTest, TheFirstMessageBeingNoneOfOursIsEnough) {
  LiveWatch watch;
  watch.Connected();
  watch.Malformed();
  EXPECT_EQ(watch.reason(), TrustReason::kMalformedMessages);
  watch.Connected();
  EXPECT_EQ(watch.reason(), TrustReason::kMalformedMessages);  // until it is heard
  watch.Heard();
  EXPECT_EQ(watch.reason(), TrustReason::kNone);
}

TEST(LiveWatchTest, AmongOursOneMayBeAnother) {
  LiveWatch watch;
  watch.Connected();
  watch.Heard();
  for (int i = 1; i < LiveWatch::kMalformedInARow; ++i) watch.Malformed();
  watch.Heard();
  for (int i = 1; i < LiveWatch::kMalformedInARow; ++i) watch.Malformed();
  EXPECT_EQ(watch.reason(), TrustReason::kNone);
  watch.Malformed();
  EXPECT_EQ(watch.reason(), TrustReason::kMalformedMessages);
}

TEST(LiveWatchTest, ReplaysThatGrowAndNothingLive) {
  LiveWatch watch;
  watch.Connected();
  watch.Replayed(true);  // the past
  for (int i = 1; i < LiveWatch::kReplaysWithoutLive; ++i) watch.Replayed(true);
  EXPECT_EQ(watch.reason(), TrustReason::kNone);
  watch.Replayed(true);
  EXPECT_EQ(watch.reason(), TrustReason::kLiveSilent);
  watch.Heard();
  EXPECT_EQ(watch.reason(), TrustReason::kNone);
}

TEST(LiveWatchTest, AnEngineThatHasNothingToSayIsNotSilent) {
  LiveWatch watch;
  watch.Connected();
  for (int i = 0; i < 100; ++i) watch.Replayed(i % LiveWatch::kReplaysWithoutLive != 0);
  EXPECT_EQ(watch.reason(), TrustReason::kNone);
}

TEST(LiveWatchTest, AForeignTopicMattersUntilSomethingIsHeard) {
  LiveWatch watch;
  watch.Connected();
  watch.ForeignTopic();
  EXPECT_EQ(watch.reason(), TrustReason::kTopicMismatch);
  watch.Heard();
  watch.ForeignTopic();
  EXPECT_EQ(watch.reason(), TrustReason::kNone);
  watch.Connected();
  watch.ForeignTopic();
  EXPECT_EQ(watch.reason(), TrustReason::kNone);
}

}  // namespace
}  // namespace kvroute
