#include "tools/client/scrape.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace kvroute {
namespace {

constexpr char kBefore[] =
    "# HELP kvroute_lag_seconds Lag.\n"
    "# TYPE kvroute_lag_seconds histogram\n"
    "kvroute_lag_seconds_bucket{le=\"0.001\"} 100\n"
    "kvroute_lag_seconds_bucket{le=\"0.01\"} 100\n"
    "kvroute_lag_seconds_bucket{le=\"+Inf\"} 100\n";

constexpr char kAfter[] =
    "kvroute_lag_seconds_bucket{le=\"0.001\"} 150\n"
    "kvroute_lag_seconds_bucket{le=\"0.01\"} 199\n"
    "kvroute_lag_seconds_bucket{le=\"+Inf\"} 200\n"
    "kvroute_gaps_total 3\n"
    "kvroute_events_total{type=\"stored\",engine=\"vllm\"} 5\n"
    "kvroute_events_total{type=\"removed\",engine=\"vllm\"} 7\n"
    "kvroute_events_total_other 11\n"
    "process_resident_memory_bytes 1.5e+08\n";

Scrape Read(const std::string& text) {
  auto scrape = Scrape::Parse(text);
  EXPECT_TRUE(scrape.ok()) << scrape.status();
  return *std::move(scrape);
}

TEST(Scrape, ReadsSamplesByTheirFullName) {
  const Scrape scrape = Read(kAfter);
  EXPECT_EQ(*scrape.Value("kvroute_gaps_total"), 3);
  EXPECT_EQ(*scrape.Value("process_resident_memory_bytes"), 1.5e8);
  EXPECT_EQ(*scrape.Value("kvroute_events_total{type=\"removed\",engine=\"vllm\"}"), 7);
  EXPECT_EQ(scrape.Value("kvroute_events_total").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(scrape.Sum("kvroute_events_total"), 12);
  EXPECT_EQ(scrape.Sum("kvroute_gaps_total"), 3);
  EXPECT_EQ(scrape.Sum("kvroute_none"), 0);
}

TEST(Scrape, QuantilesAreOfWhatCameBetweenTwoReadings) {
  const Scrape before = Read(kBefore), after = Read(kAfter);
  EXPECT_EQ(after.Quantile("kvroute_lag_seconds", 0.5, before), 0.001);
  EXPECT_EQ(after.Quantile("kvroute_lag_seconds", 0.51, before), 0.01);
  EXPECT_EQ(after.Quantile("kvroute_lag_seconds", 0.99, before), 0.01);
  EXPECT_TRUE(std::isinf(after.Quantile("kvroute_lag_seconds", 1, before)));
  EXPECT_EQ(after.Quantile("kvroute_lag_seconds", 0.99, after), 0) << "nothing came";
  EXPECT_EQ(after.Quantile("kvroute_none", 0.5, before), 0);
}

TEST(Scrape, WhatIsNoSampleIsNamed) {
  const auto scrape = Scrape::Parse("kvroute_gaps_total 3\n<html>\n");
  EXPECT_EQ(scrape.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(scrape.status().message().find("<html>"), std::string::npos);
}

TEST(Scrape, NobodyListeningIsUnavailable) {
  EXPECT_EQ(Scrape::Fetch({.server = *ParseServerAddress("", "127.0.0.1:1", 1), .security = {}})
                .status()
                .code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace kvroute
