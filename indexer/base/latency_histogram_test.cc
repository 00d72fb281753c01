#include "indexer/base/latency_histogram.h"

#include <gtest/gtest.h>

namespace kvroute {
namespace {

TEST(LatencyHistogramTest, EveryDurationLiesAtOrBelowItsBucketsBoundAndAboveThePreviousOne) {
  for (int64_t ns = 1; ns < (int64_t{1} << 35); ns = ns * 9 / 8 + 1) {
    const int bucket = LatencyHistogram::BucketOf(Nanos(ns));
    EXPECT_LE(Nanos(ns), LatencyHistogram::UpperBound(bucket)) << ns;
    if (bucket > 0) {
      EXPECT_GT(Nanos(ns), LatencyHistogram::UpperBound(bucket - 1)) << ns;
    }
  }
}

TEST(LatencyHistogramTest, BoundsAreInclusiveAndRise) {
  for (int bucket = 0; bucket < LatencyHistogram::kBuckets - 1; ++bucket) {
    EXPECT_EQ(LatencyHistogram::BucketOf(LatencyHistogram::UpperBound(bucket)), bucket);
    EXPECT_LT(LatencyHistogram::UpperBound(bucket), LatencyHistogram::UpperBound(bucket + 1));
  }
}

TEST(LatencyHistogramTest, ExtremesFallIntoTheFirstAndLastBucket) {
  EXPECT_EQ(LatencyHistogram::BucketOf(Nanos(-5)), 0);
  EXPECT_EQ(LatencyHistogram::BucketOf(Nanos(0)), 0);
  EXPECT_EQ(LatencyHistogram::BucketOf(Nanos::max()), LatencyHistogram::kBuckets - 1);
}

TEST(LatencyHistogramTest, QuantilesAreAtMostAQuarterHigh) {
  LatencyHistogram histogram;
  for (int i = 1; i <= 1000; ++i) histogram.Observe(Nanos(i * 1000));
  const auto snapshot = histogram.Read();
  EXPECT_EQ(snapshot.count, 1000u);
  EXPECT_EQ(snapshot.sum, Nanos(500'500'000));
  for (double q : {0.5, 0.9, 0.99, 1.0}) {
    const double truth = q * 1e6;
    EXPECT_GE(static_cast<double>(snapshot.Quantile(q).count()), truth);
    EXPECT_LE(static_cast<double>(snapshot.Quantile(q).count()), truth * 1.25);
  }
}

TEST(LatencyHistogramTest, EmptyHistogramHasZeroQuantiles) {
  EXPECT_EQ(LatencyHistogram().Read().Quantile(0.99), Nanos(0));
}

}  // namespace
}  // namespace kvroute
