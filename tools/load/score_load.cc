#include "tools/load/score_load.h"

#include <algorithm>
#include <thread>
#include <vector>

#include "tools/client/api_client.h"

namespace kvroute {
ScoreLoad::ScoreLoad(const std::string& address, const std::string& model,
                     uint32_t block_size_tokens, double calls_per_second,
                     const LoadPublisher* publisher)
    : publisher_(publisher) {
  if (calls_per_second <= 0) return;
  thread_ = NamedThread("load-score",
                        [=, this] { Run(address, model, block_size_tokens, calls_per_second); });
}

ScoreLoad::~ScoreLoad() { stop_.store(true); }  // the thread is joined by its own destructor

void ScoreLoad::Run(const std::string& address, const std::string& model,
                    uint32_t block_size_tokens, double calls_per_second) {
  const ApiClient client(address);
  const auto interval =
      std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(1 / calls_per_second));
  v1::ScoreRequest request;
  request.set_model(model);
  request.set_only_matching(true);
  std::vector<TokenId> tokens;
  auto due = std::chrono::steady_clock::now();
  for (size_t call = 0; !stop_.load(); ++call, due += interval) {
    std::this_thread::sleep_until(due);
    const std::vector<Conversation> prompts =
        publisher_->SampleConversations(call % publisher_->streams());
    if (prompts.empty()) continue;
    TokensOf(prompts.front().content, block_size_tokens, 0, prompts.front().blocks, &tokens);
    auto* prompt = request.mutable_prompt()->mutable_token_ids();
    prompt->Clear();
    prompt->Add(tokens.begin(), tokens.end());
    const Nanos start = Clock::Real().Monotonic();
    failed_ += !client.Score(request).ok();
    const Nanos latency = Clock::Real().Monotonic() - start;
    latency_.Observe(latency);
    slowest_ = std::max(slowest_, latency);
  }
}

LatencySummary ScoreLoad::Finish(uint64_t* failed) {
  stop_.store(true);
  thread_.Join();
  *failed = failed_;
  const LatencyHistogram::Snapshot latency = latency_.Read();
  return {.count = latency.count,
          .p50_ms = Ms(latency.Quantile(0.5)),
          .p90_ms = Ms(latency.Quantile(0.9)),
          .p99_ms = Ms(latency.Quantile(0.99)),
          .max_ms = Ms(slowest_)};
}

}  // namespace kvroute
