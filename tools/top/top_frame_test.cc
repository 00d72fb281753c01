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
  EXPECT_THAT(*frame, HasSubstr(" serving   degraded  no_replay "));
  EXPECT_THAT(*TopFrame({kStatus, now}, Scrape(), 0), HasSubstr("route   14/s"));
}

// Three workers of a model, in trouble, loaded and well.
constexpr char kThree[] = R"({"version":"1","uptime_seconds":10.0,"ready":true,"policy":"prefix",
"index":{"holdings":7,"distinct_blocks":5,"bytes":2500000},"workers":[
{"worker_id":"a","model":"m","source":"config","streams":[{"rank":0,"trust":"exact","reason":"live",
"requests_in_flight":1,"gaps":0,"batches":9,"holdings":70,"heard":true,
"engine":{"health":"answers","waiting":2,"running":1,"kv_usage":0.25,"capacity_blocks":100}}]},
{"worker_id":"b","model":"m","draining":true,"streams":[{"rank":0,"trust":"exact","reason":"live",
"requests_in_flight":8,"gaps":0,"batches":7}]},
{"worker_id":"c","model":"m","streams":[{"rank":0,"trust":"cold","reason":"none",
"requests_in_flight":0,"gaps":3,"batches":0,"heard":false}]}]})";

// The first letters of the rows.
std::string Order(TopSort sort) {
  const std::string frame =
      *TopFrame({kThree, Scrape()}, Scrape(), 1, {.sort = sort, .worker = ""});
  std::string order;
  for (size_t at = frame.find("\nWORKER") + 1; at != 0; at = frame.find('\n', at) + 1) {
    if (frame[at] >= 'a' && frame[at] <= 'c') order += frame[at];
  }
  return order;
}

TEST(TopFrameTest, RowsAreOrderedAsAsked) {
  EXPECT_EQ(Order(TopSort::kWorker), "abc");
  EXPECT_EQ(Order(TopSort::kTrust), "cab");
  EXPECT_EQ(Order(TopSort::kInFlight), "bac");
  EXPECT_EQ(Order(TopSort::kGaps), "cab");
  EXPECT_EQ(Order(TopSort::kBlocks), "abc");
  EXPECT_EQ(Order(TopSort::kKv), "abc");
}

TEST(TopFrameTest, SaysOfEachWorkerHowItIs) {
  const std::string frame = *TopFrame({kThree, Scrape()}, Scrape(), 1);
  EXPECT_THAT(
      frame,
      HasSubstr("serving   exact     live                         1       2    25%        70"));
  EXPECT_THAT(frame, HasSubstr("draining  exact"));
  EXPECT_THAT(frame, HasSubstr("unheard   cold"));
  EXPECT_THAT(frame, testing::Not(HasSubstr("\x1b")));
}

TEST(TopFrameTest, ColoursAreThereWhenTheyAreAskedFor) {
  const std::string frame =
      *TopFrame({kThree, Scrape()}, Scrape(), 1, {.colours = true, .worker = ""});
  EXPECT_THAT(frame, HasSubstr("\x1b[31munheard"));
  EXPECT_THAT(frame, HasSubstr("\x1b[32mserving"));
  EXPECT_THAT(frame, HasSubstr("\x1b[33mdraining"));
}

TEST(TopFrameTest, EveryFactOfOneWorker) {
  const auto frame = TopFrame({kThree, Scrape()}, Scrape(), 1, {.worker = "a"});
  ASSERT_TRUE(frame.ok()) << frame.status();
  EXPECT_THAT(*frame, HasSubstr("source: config\n"));
  EXPECT_THAT(*frame, HasSubstr("\nrank 0\n"));
  EXPECT_THAT(*frame, HasSubstr("    capacity_blocks: 100\n"));
  EXPECT_EQ(TopFrame({kThree, Scrape()}, Scrape(), 1, {.worker = "z"}).status().message(),
            "--worker: there is no worker \"z\"");
}

TEST(TopFrameTest, AStatusThatIsNoneIsAnError) {
  EXPECT_FALSE(TopFrame({"", Scrape()}, Scrape(), 1).ok());
  EXPECT_FALSE(TopFrame({"{}", Scrape()}, Scrape(), 1).ok());
}

}  // namespace
}  // namespace kvroute
