#include "tools/workload/generator.h"

#include <algorithm>
#include <cmath>

#include "indexer/base/check.h"
#include "tools/workload/random.h"

namespace kvroute {
namespace {

class Generator {
 public:
  explicit Generator(const GeneratorOptions& options) : options_(options), random_(options.seed) {
    for (uint32_t i = 0; i < options.system_prompts; ++i) {
      std::vector<TraceBlockId>& prompt = system_prompts_.emplace_back();
      ExtendTo(1 + random_.Below(options.max_system_blocks), &prompt);
    }
  }

  std::vector<TraceRequest> Run();

 private:
  // One conversation that starts at `seconds`: appends its requests.
  void Converse(double seconds);
  size_t PickSystemPrompt();
  uint32_t Length(double median, double sigma, uint32_t most) {
    const double tokens = random_.LogNormal(median, sigma);
    return static_cast<uint32_t>(std::clamp(tokens, 1.0, static_cast<double>(most)));
  }
  // Gives `blocks` new ids until it has `count`.
  void ExtendTo(size_t count, std::vector<TraceBlockId>* blocks) {
    while (blocks->size() < count) blocks->push_back(TraceBlockId(next_id_++));
  }

  const GeneratorOptions& options_;
  SeededRandom random_;
  uint64_t next_id_ = 0;
  std::vector<std::vector<TraceBlockId>> system_prompts_;
  std::vector<TraceRequest> requests_;
};

size_t BlocksFor(uint64_t tokens) { return (tokens + kTraceBlockTokens - 1) / kTraceBlockTokens; }

size_t Generator::PickSystemPrompt() {
  double total = 0;
  for (size_t i = 0; i < system_prompts_.size(); ++i) total += 1.0 / static_cast<double>(i + 1);
  double left = random_.Uniform() * total;
  for (size_t i = 0; i < system_prompts_.size(); ++i) {
    left -= 1.0 / static_cast<double>(i + 1);
    if (left < 0) return i;
  }
  return system_prompts_.size() - 1;
}

void Generator::Converse(double seconds) {
  std::vector<TraceBlockId> blocks = system_prompts_[PickSystemPrompt()];
  uint64_t said = blocks.size() * kTraceBlockTokens;
  bool first = true;
  do {
    said += first ? Length(options_.first_message_tokens, options_.first_message_sigma,
                           options_.max_input_tokens)
                  : Length(options_.next_message_tokens, options_.next_message_sigma,
                           options_.max_input_tokens);
    first = false;
    if (said > options_.max_input_tokens) return;
    TraceRequest request;
    request.timestamp_ms = static_cast<int64_t>(seconds * 1e3);
    request.input_length = static_cast<uint32_t>(said);
    request.output_length =
        Length(options_.output_tokens, options_.output_sigma, options_.max_output_tokens);
    request.output_continues = true;
    said += request.output_length;
    ExtendTo(BlocksFor(said), &blocks);
    const auto prompt_end =
        blocks.begin() + static_cast<ptrdiff_t>(BlocksFor(request.input_length));
    request.hash_ids.assign(blocks.begin(), prompt_end);
    request.continuation_ids.assign(prompt_end, blocks.end());
    seconds += request.output_length * options_.seconds_per_output_token +
               random_.Exponential(options_.think_seconds);
    requests_.push_back(std::move(request));
  } while (random_.Uniform() >= 1.0 / options_.mean_turns);
}

std::vector<TraceRequest> Generator::Run() {
  const double seconds_between = options_.mean_turns / options_.requests_per_second;
  double seconds = 0;
  // More conversations than needed, then the earliest requests: otherwise the last ones would be
  // all late turns.
  const size_t enough = options_.requests + options_.requests / 4;
  while (requests_.size() < enough) {
    Converse(seconds);
    seconds += random_.Exponential(seconds_between);
  }
  std::stable_sort(
      requests_.begin(), requests_.end(),
      [](const TraceRequest& a, const TraceRequest& b) { return a.timestamp_ms < b.timestamp_ms; });
  requests_.resize(options_.requests);
  return std::move(requests_);
}

}  // namespace

std::optional<GeneratorOptions> NamedGenerator(std::string_view name) {
  GeneratorOptions options;
  if (name == "chat") return options;
  if (name == "agent") {
    options.system_prompts = 4;
    options.max_system_blocks = 16;
    options.mean_turns = 12;
    options.first_message_tokens = 800;
    options.first_message_sigma = 0.8;
    options.next_message_tokens = 600;
    options.output_tokens = 120;
    options.think_seconds = 3;
    return options;
  }
  if (name == "coder") {
    options.system_prompts = 64;
    options.max_system_blocks = 16;
    options.mean_turns = 2.5;
    options.first_message_tokens = 5'000;
    options.first_message_sigma = 0.9;
    options.next_message_tokens = 1'200;
    options.output_tokens = 200;
    options.think_seconds = 20;
    return options;
  }
  return std::nullopt;
}

std::vector<TraceRequest> GenerateTrace(const GeneratorOptions& options) {
  KVROUTE_CHECK(options.system_prompts > 0 && options.max_system_blocks > 0);
  KVROUTE_CHECK(options.requests_per_second > 0 && options.mean_turns >= 1);
  KVROUTE_CHECK(options.max_input_tokens > options.max_system_blocks * kTraceBlockTokens);
  return Generator(options).Run();
}

}  // namespace kvroute
