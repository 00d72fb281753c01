#include "tools/top/top_frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvroute {
namespace {

using testing::HasSubstr;

constexpr char kStatus[] = R"({"version":"1","uptime_seconds":10.0,"ready":false,"policy":"prefix",
"index":{"holdings":7,"distinct_blocks":5,"bytes":2500000},"workers":[{"worker_id":"w\u001b[2J",
"streams":[{"rank":3,"trust":"degraded","reason":"no_replay","requests_in_flight":4,"gaps":2,
"batches":9}]}]})";

Scrape Metrics(const std::string& text) { return *Scrape::Parse(text); }

TEST(TopFrameTest, ShowsWhatHappenedSinceTheReadingBefore) {
  const Scrape before = Metrics(
      "kvroute_decisions_total{policy=\"prefix\"} 100\nkvroute_prompt_tokens_total 1000\n"
      "kvroute_matched_tokens_total 1000\n"
      "kvroute_request_duration_seconds_bucket{method=\"Route\",le=\"0.5\"} 100\n"
      "kvroute_request_duration_seconds_bucket{method=\"Route\",le=\"+Inf\"} 100\n");
  const Scrape now = Metrics(
      "kvroute_decisions_total{policy=\"prefix\"} 140\nkvroute_prompt_tokens_total 2000\n"
      "kvroute_matched_tokens_total 1250\n"
      "kvroute_request_duration_seconds_bucket{method=\"Route\",le=\"2e-05\"} 40\n"
      "kvroute_request_duration_seconds_bucket{method=\"Route\",le=\"0.5\"} 140\n"
      "kvroute_request_duration_seconds_bucket{method=\"Route\",le=\"+Inf\"} 140\n");
  const auto frame = TopFrame({kStatus, now}, before, 2);
  ASSERT_TRUE(frame.ok()) << frame.status();
  EXPECT_THAT(*frame, HasSubstr("NOT READY  policy prefix"));
  EXPECT_THAT(*frame, HasSubstr("route   20/s  p50 20 us p99 20 us  hit rate 25.0%"));
  EXPECT_THAT(*frame, HasSubstr("7 holdings  5 distinct blocks  2.5 MB"));
  EXPECT_THAT(*frame, HasSubstr("w?[2J"));
  EXPECT_THAT(*frame, HasSubstr("   3 degraded  no_replay "));
  EXPECT_THAT(*TopFrame({kStatus, now}, Scrape(), 0), HasSubstr("route   14/s"));
}

TEST(TopFrameTest, AStatusThatIsNoneIsAnError) {
  EXPECT_FALSE(TopFrame({"", Scrape()}, Scrape(), 1).ok());
  EXPECT_FALSE(TopFrame({"{}", Scrape()}, Scrape(), 1).ok());
}

}  // namespace
}  // namespace kvroute
