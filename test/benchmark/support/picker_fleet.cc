#include "test/benchmark/support/picker_fleet.h"

#include "absl/strings/str_cat.h"

namespace kvroute {
namespace {

std::string WorkerName(size_t worker) { return absl::StrCat("worker-", worker); }

}  // namespace

PickerFleet::PickerFleet(int engine_port)
    : RoutingFixture({.tie_break_seed = 1}, {}, &Clock::Real()) {
  std::vector<WorkerSpec> specs;
  for (size_t worker = 0; worker < kPickerWorkers; ++worker) {
    specs.push_back(Spec(WorkerName(worker), 1, kBlockSizeTokens));
    specs.back().address = absl::StrCat("http://", PickerEndpoint(worker, engine_port));
  }
  AddConfiguredWorkers(specs);
  for (const PickerForm form : {PickerForm::kTokens, PickerForm::kText}) {
    for (const size_t bytes : kPickerBodyBytes) AddPrompts({form, bytes});
  }
  renderer_.SetRenderers({{"", "http://renderer"}});
}

void PickerFleet::AddPrompts(const PickerShape& shape) {
  for (size_t prompt = 0; prompt < PickerShape::kPrompts; ++prompt) {
    std::vector<TokenId> tokens = PickerTokens(shape, prompt);
    if (shape.form == PickerForm::kText) {
      std::string answer = R"({"request_id":"r","features":null,"token_ids":[)";
      for (const TokenId token : tokens) absl::StrAppend(&answer, token, ",");
      answer.back() = ']';
      transport_.AddAnswer(absl::StrCat("prompt ", prompt, " of ", shape.bytes), answer + "}");
    }
    const size_t holder = PickerHolder(shape, prompt);
    Store(WorkerName(holder), tokens, kBlockSizeTokens);
    tokens.resize(tokens.size() / 2);
    for (size_t worker = holder + 8; worker < holder + kPickerWorkers; worker += 8) {
      Store(WorkerName(worker % kPickerWorkers), tokens, kBlockSizeTokens);
    }
  }
}

}  // namespace kvroute
