#include "router/fleet/scrape/engine_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "indexer/base/limits.h"

namespace kvroute {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

std::vector<EngineNumbers> Read(std::string_view page) {
  std::vector<EngineNumbers> numbers;
  ReadEngineMetrics(page, &numbers);
  return numbers;
}

void ExpectNumbers(const EngineNumbers& of, double waiting, double running, double usage,
                   double capacity) {
  EXPECT_EQ(of.waiting, waiting);
  EXPECT_EQ(of.running, running);
  EXPECT_EQ(of.kv_usage, usage);
  EXPECT_EQ(of.capacity_blocks, capacity);
}

TEST(EngineMetricsTest, Vllm) {
  const auto numbers = Read(R"(# HELP vllm:num_requests_running Number of requests
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting{engine="0",model_name="m"} 2.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="m",reason="x"} 99.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:cache_config_info{block_size="16",cache_dtype="auto",engine="0",num_gpu_blocks="1000"} 1.0
)");
  ASSERT_THAT(numbers, SizeIs(1));
  EXPECT_EQ(numbers[0].rank, 0u);
  ExpectNumbers(numbers[0], 2, 3, 0.25, 1000);
}

TEST(EngineMetricsTest, OlderVllmAndRanks) {
  const auto numbers = Read(
      "vllm:gpu_cache_usage_perc{engine=\"1\"} 0.5\nvllm:num_requests_waiting{engine=\"1\"} 1\n"
      "vllm:num_requests_waiting{engine=\"0\"} "
      "7\r\nvllm:cache_config_info{num_gpu_blocks=\"None\"} 1");
  ASSERT_THAT(numbers, SizeIs(2));
  EXPECT_EQ(numbers[0].rank, 1u);
  EXPECT_EQ(numbers[0].kv_usage, 0.5);
  EXPECT_EQ(numbers[1].waiting, 7);
  const EngineNumbers all = Together(numbers);
  EXPECT_EQ(all.waiting, 8);
  EXPECT_EQ(all.kv_usage, 0.5);
  EXPECT_EQ(all.capacity_blocks, std::nullopt);
}

TEST(EngineMetricsTest, SglangAndTensorRt) {
  const auto sglang = Read(
      "sglang:num_queue_reqs{model_name=\"m\"} 4\nsglang:num_running_reqs{model_name=\"m\"} 5\n"
      "sglang:token_usage{model_name=\"m\"} 0.125\n"
      "sglang:cache_config_info{page_size=\"64\",num_pages=\"77\"} 1\n");
  ASSERT_THAT(sglang, SizeIs(1));
  ExpectNumbers(sglang[0], 4, 5, 0.125, 77);
  const auto trtllm = Read(
      "trtllm_num_requests_waiting 4\ntrtllm_num_requests_running 5 1700000000000\n"
      "trtllm_kv_cache_utilization 0.125\ntrtllm_kv_cache_max_blocks 77\n");
  ASSERT_THAT(trtllm, SizeIs(1));
  ExpectNumbers(trtllm[0], 4, 5, 0.125, 77);
  const auto triton = Read(
      "nv_trt_llm_request_metrics{model=\"t\",request_type=\"waiting\",version=\"1\"} 4\n"
      "nv_trt_llm_request_metrics{model=\"t\",request_type=\"scheduled\"} 5\n"
      "nv_trt_llm_request_metrics{model=\"t\",request_type=\"max\"} 500\n"
      "nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"fraction\"} 0.125\n"
      "nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"max\"} 77\n");
  ASSERT_THAT(triton, SizeIs(1));
  ExpectNumbers(triton[0], 4, 5, 0.125, 77);
}

TEST(EngineMetricsTest, LabelsMayHoldWhatEndsOthers) {
  const auto numbers =
      Read("vllm:num_requests_waiting{model_name=\"a}b\\\"c,engine=\\\"9\\\"\",engine=\"2\"} 6\n");
  ASSERT_THAT(numbers, SizeIs(1));
  EXPECT_EQ(numbers[0].rank, 2u);
  EXPECT_EQ(numbers[0].waiting, 6);
}

TEST(EngineMetricsTest, WhatIsNoNumberCountsForNothing) {
  for (const char* value : {"NaN", "+Inf", "-1", "", "x", "1x", "1e999", "{"}) {
    EXPECT_THAT(Read("vllm:num_requests_waiting " + std::string(value) + "\n"), IsEmpty()) << value;
  }
  EXPECT_EQ(Read("vllm:kv_cache_usage_perc 7\n")[0].kv_usage, 1.0) << "at most all of it";
}

TEST(EngineMetricsTest, PagesThatAreNoneSayNothing) {
  for (const char* page :
       {"", "\n\n", "<!DOCTYPE html><html><body>vllm:num_requests_waiting 7</body></html>",
        "vllm:num_requests_waiting{engine=\"0\" 7", "vllm:num_requests_waiting{engine=\"0\\",
        "vllm:num_requests_waiting{engine=", "vllm:", "v", "{\"error\":\"vllm\"}", "\x00\xff"}) {
    EXPECT_THAT(Read(page), IsEmpty()) << page;
  }
}

TEST(EngineMetricsTest, RanksHaveALimit) {
  std::string page;
  for (size_t rank = 0; rank < 2 * limits::kMaxEngineRanks; ++rank) {
    page += "vllm:num_requests_waiting{engine=\"" + std::to_string(rank) + "\"} 1\n";
  }
  EXPECT_THAT(Read(page), SizeIs(limits::kMaxEngineRanks));
}

}  // namespace
}  // namespace kvroute
