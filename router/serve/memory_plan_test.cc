#include "router/serve/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/edge/grpc_base/long_work.h"

namespace kvroute {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr uint64_t kMiB = uint64_t{1} << 20;

ServeConfig EveryEdge() {
  ServeConfig config;
  config.picker.listen = "127.0.0.1:0";
  config.http_json.listen = "127.0.0.1:0";
  return config;
}

TEST(MemoryPlanTest, WithMuchMemoryEverythingIsAsItIsSet) {
  for (ServeConfig config : {ServeConfig(), EveryEdge()}) {
    const MemoryBudgets memory(32'768 * kMiB, CeilingsOf(config));
    EXPECT_THAT(FitToMemory(memory, &config), IsEmpty());
  }
}

TEST(MemoryPlanTest, WhatNobodyNeedsIsTheIndexs) {
  const ServeConfig config;
  const uint64_t limit = 16'384 * kMiB;
  const MemoryBudgets memory(limit, CeilingsOf(config));
  EXPECT_GT(memory.of(MemoryPart::kIndex).limit(), limit / 100 * 55);
  uint64_t sum = 0;
  for (size_t i = 0; i < kMemoryPartCount; ++i) {
    sum += memory.of(static_cast<MemoryPart>(i)).limit();
  }
  EXPECT_LE(sum, limit - kProcessBytes);
}

// The least that may be configured, and what a test of the whole process uses.
TEST(MemoryPlanTest, WithLittleEachIsCutDownAndSaidSo) {
  for (const uint64_t limit : {128 * kMiB, 256 * kMiB}) {
    ServeConfig config = EveryEdge();
    const MemoryBudgets memory(limit, CeilingsOf(config));
    const std::vector<std::string> said = FitToMemory(memory, &config);
    for (const char* field : {"grpc.max_message", "picker.max_body", "http_json.body_limit",
                              "http_json.bodies_limit", "prompts.max_render_memory"}) {
      EXPECT_THAT(said, Contains(HasSubstr(field))) << limit;
    }
    EXPECT_LE(LongWork::MemoryOf(config.grpc.max_message_bytes),
              memory.of(MemoryPart::kRequests).limit());
    const MemoryPlan plan = PlanFor(config, memory);
    EXPECT_LE(plan.grpc_memory_bytes + plan.picker_memory_bytes,
              memory.of(MemoryPart::kGrpc).limit());
    EXPECT_GE(config.picker.options.max_body_bytes, kMiB / 2);
    EXPECT_GE(config.grpc.max_message_bytes, 2 * kMiB);
    EXPECT_THAT(FitToMemory(memory, &config), IsEmpty());  // it fits now
  }
}

// A prompt of kMaxPromptTokens is answered even so.
TEST(MemoryPlanTest, TheLongestPromptFitsInto256MiB) {
  ServeConfig config;
  const MemoryBudgets memory(256 * kMiB, CeilingsOf(config));
  FitToMemory(memory, &config);
  EXPECT_GE(config.grpc.max_message_bytes, limits::kMaxPromptTokens * 4 + 4'096);
}

}  // namespace
}  // namespace kvroute
