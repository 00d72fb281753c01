#include "tools/workload/generator.h"

#include <gtest/gtest.h>

#include <map>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

namespace kvroute {
namespace {

std::vector<uint32_t> Shape(const std::vector<TraceRequest>& requests) {
  std::vector<uint32_t> shape;
  for (const TraceRequest& request : requests) {
    shape.insert(shape.end(), {static_cast<uint32_t>(request.timestamp_ms), request.input_length,
                               request.output_length});
    for (const TraceBlockId id : request.hash_ids)
      shape.push_back(static_cast<uint32_t>(id.value()));
  }
  return shape;
}

TEST(GeneratorTest, IsAFunctionOfItsOptions) {
  const GeneratorOptions options{.seed = 5, .requests = 300};
  EXPECT_EQ(Shape(GenerateTrace(options)), Shape(GenerateTrace(options)));
  EXPECT_NE(Shape(GenerateTrace(options)), Shape(GenerateTrace({.seed = 6, .requests = 300})));
}

TEST(GeneratorTest, KeepsTheRulesOfTheFormat) {
  const std::vector<TraceRequest> requests = GenerateTrace({.seed = 1, .requests = 2'000});
  ASSERT_EQ(requests.size(), 2'000u);
  absl::flat_hash_map<TraceBlockId, std::pair<size_t, TraceBlockId>> parents;
  int64_t before = 0;
  for (const TraceRequest& request : requests) {
    EXPECT_GE(request.timestamp_ms, before);
    before = request.timestamp_ms;
    ASSERT_EQ(request.hash_ids.size(), (request.input_length + 511u) / 512u);
    ASSERT_EQ(request.hash_ids.size() + request.continuation_ids.size(),
              (request.input_length + request.output_length + 511u) / 512u);
    for (size_t i = 0; i < request.hash_ids.size(); ++i) {
      const auto place = std::pair(i, i == 0 ? TraceBlockId() : request.hash_ids[i - 1]);
      ASSERT_EQ(parents.try_emplace(request.hash_ids[i], place).first->second, place)
          << "an id stands for one prefix";
    }
  }
}

TEST(GeneratorTest, HasTheShapeOfTheConversationTrace) {
  const std::vector<TraceRequest> requests = GenerateTrace({.seed = 3, .requests = 6'000});
  double tokens = 0;
  size_t blocks = 0, hits = 0;
  absl::flat_hash_set<TraceBlockId> seen;
  for (const TraceRequest& request : requests) {
    tokens += request.input_length;
    for (const TraceBlockId id : request.hash_ids) {
      ++blocks;
      if (!seen.insert(id).second) ++hits;
    }
  }
  const double mean = tokens / static_cast<double>(requests.size());
  const double hit_rate = static_cast<double>(hits) / static_cast<double>(blocks);
  const double seconds = static_cast<double>(requests.back().timestamp_ms) / 1e3;
  // The trace: 12,035 tokens a request, 36.6 % of the blocks seen before, 3.3 requests/s.
  EXPECT_GT(mean, 8'000);
  EXPECT_LT(mean, 16'000);
  EXPECT_GT(hit_rate, 0.3);
  EXPECT_LT(hit_rate, 0.75);
  EXPECT_GT(6'000 / seconds, 2.0);
  EXPECT_LT(6'000 / seconds, 4.5);
}

TEST(GeneratorTest, NamedWorkloadsHaveTheirShapes) {
  const auto mean_output = [](std::string_view name) {
    GeneratorOptions options = *NamedGenerator(name);
    options.requests = 500;
    uint64_t tokens = 0;
    for (const TraceRequest& request : GenerateTrace(options)) tokens += request.output_length;
    return tokens / 500;
  };
  EXPECT_LT(mean_output("agent"), mean_output("coder"));
  EXPECT_LT(mean_output("coder"), mean_output("chat"));
  EXPECT_GT(NamedGenerator("agent")->mean_turns, NamedGenerator("chat")->mean_turns);
  EXPECT_EQ(NamedGenerator("gone"), std::nullopt);
}

}  // namespace
}  // namespace kvroute
