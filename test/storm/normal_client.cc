#include "test/storm/normal_client.h"

#include <algorithm>
#include <utility>

#include "tools/client/api_client.h"

namespace kvroute {
namespace {

constexpr std::chrono::seconds kAnswerPatience{10};
constexpr uint32_t kPromptTokens = 512;
constexpr std::chrono::milliseconds kPause{1};  // leaves some of the machine to others

}  // namespace

NormalClient::NormalClient(const std::string& grpc_address, const std::string& model)
    : thread_("normal client", [this, grpc_address, model] { Run(grpc_address, model); }) {}

NormalClient::~NormalClient() {
  const std::lock_guard<std::mutex> lock(mutex_);
  stop_ = true;
  ending_.notify_all();
}

void NormalClient::Run(const std::string& grpc_address, const std::string& model) {
  const ApiClient api(grpc_address, std::chrono::milliseconds(10'000));
  v1::RouteRequest request;
  request.set_model(model);
  for (uint32_t token = 0; token < kPromptTokens; ++token) {
    request.mutable_prompt()->add_token_ids(token);
  }
  for (uint32_t round = 0;; ++round) {
    request.mutable_prompt()->set_token_ids(kPromptTokens - 1, round);
    const auto began = std::chrono::steady_clock::now();
    const auto response = api.Route(request);
    const auto took = std::chrono::steady_clock::now() - began;
    absl::Status status = response.status();
    if (status.ok()) {
      v1::CompleteRequest complete;
      complete.set_request_id(response->request_id());
      complete.set_progress(v1::CompleteRequest::PROGRESS_ENDED);
      status = api.Complete(complete).status();
    }
    std::unique_lock<std::mutex> lock(mutex_);
    if (ending_.wait_for(lock, kPause, [this] { return stop_; })) return;
    if (status.ok()) {
      ++answers_;
      record_.latencies.push_back(took);
      changed_.notify_all();
    } else {
      record_.failures.push_back(status.ToString());
    }
  }
}

void NormalClient::AwaitAnswers(uint64_t count) {
  std::unique_lock<std::mutex> lock(mutex_);
  const uint64_t wanted = answers_ + count;
  changed_.wait_for(lock, kAnswerPatience, [&] { return answers_ >= wanted; });
}

NormalClient::Record NormalClient::Take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(record_, {});
}

std::chrono::nanoseconds Percentile(std::vector<std::chrono::nanoseconds> latencies, double share) {
  if (latencies.empty()) return {};
  std::sort(latencies.begin(), latencies.end());
  const auto index = static_cast<size_t>(share * static_cast<double>(latencies.size()));
  return latencies[std::min(index, latencies.size() - 1)];
}

}  // namespace kvroute
