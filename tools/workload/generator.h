#ifndef KVROUTE_TOOLS_WORKLOAD_GENERATOR_H_
#define KVROUTE_TOOLS_WORKLOAD_GENERATOR_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "tools/workload/trace.h"

namespace kvroute {

// A made-up workload, by default with the shape of the conversation trace: a few shared system
// prompts, conversations whose turns each repeat all that was said before, heavy-tailed lengths,
// Poisson arrivals of conversations.
struct GeneratorOptions {
  uint64_t seed = 1;
  uint32_t requests = 4'000;
  double requests_per_second = 3.3;     // over the whole run
  uint32_t system_prompts = 8;          // the first is the most popular (weights 1, 1/2, 1/3, ...)
  uint32_t max_system_blocks = 4;       // of kTraceBlockTokens tokens; each prompt has 1 to so many
  double mean_turns = 3.0;              // geometric
  double first_message_tokens = 4'500;  // median of a log-normal of first_message_sigma
  double first_message_sigma = 1.2;
  double next_message_tokens = 700;  // median, the turns after the first
  double next_message_sigma = 1.3;
  double output_tokens = 280;  // median
  double output_sigma = 0.8;
  double think_seconds = 45;  // mean of an exponential, between an answer and the next turn
  double seconds_per_output_token = 0.03;  // how long the user waits for an answer before thinking
  uint32_t max_input_tokens = 126'000;     // a conversation ends there
  uint32_t max_output_tokens = 2'000;
};

// "chat": the default. "agent": tool calls, i.e. many short turns close to each other behind a long
// shared prompt that says which tools there are. "coder": long contexts of few projects, a few
// turns each. nullopt: there is none of the name.
std::optional<GeneratorOptions> NamedGenerator(std::string_view name);

// Sorted by timestamp; the same options give the same workload.
std::vector<TraceRequest> GenerateTrace(const GeneratorOptions& options);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_WORKLOAD_GENERATOR_H_
