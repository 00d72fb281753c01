#include "router/http/http_names.h"

#include <utility>

#include "indexer/base/limits.h"

namespace kvroute {

HttpNames::HttpNames(std::shared_ptr<NameService> names, std::shared_ptr<WakeFd> wake,
                     const Clock* clock,
                     std::function<void(HttpTransferId, const NameAnswer&)> on_answer)
    : lookups_(std::move(names), std::move(wake)),
      clock_(clock),
      on_answer_(std::move(on_answer)) {}

const NameAnswer* HttpNames::Find(const std::string& host, HttpTransferId transfer) {
  MakeRoom();
  Host& known = hosts_[host];
  const bool fresh = clock_->Monotonic() - known.answered_at < kHold;
  if (!known.answer.addresses.empty() && fresh) return &known.answer;
  if (known.question == nullptr) known.question = lookups_.Ask(host);
  known.waiting.push_back(transfer);
  return nullptr;
}

void HttpNames::Forget(const std::string& host, HttpTransferId transfer) {
  if (const auto it = hosts_.find(host); it != hosts_.end())
    std::erase(it->second.waiting, transfer);
}

void HttpNames::Poll() {
  std::vector<std::pair<HttpTransferId, NameAnswer>> answers;
  for (auto& [host, known] : hosts_) {
    if (known.question == nullptr || !known.question->answered.load(std::memory_order_acquire)) {
      continue;
    }
    const NameAnswer& answer = known.question->answer;
    const bool server_is_silent = answer.trouble == ConnectTrouble::kNameServer;
    if (!server_is_silent || known.answer.addresses.empty()) known.answer = answer;
    known.answered_at = clock_->Monotonic();
    known.question = nullptr;
    for (const HttpTransferId transfer : std::exchange(known.waiting, {})) {
      answers.emplace_back(transfer, known.answer);
    }
  }
  for (const auto& [transfer, answer] : answers) on_answer_(transfer, answer);
}

// Names that nobody waits for are only remembered to be quick.
void HttpNames::MakeRoom() {
  if (hosts_.size() < limits::kMaxHttpNames) return;
  absl::erase_if(hosts_, [](const auto& host) { return host.second.question == nullptr; });
}

}  // namespace kvroute
