#ifndef KVROUTE_ROUTER_ROUTE_QUERY_H_
#define KVROUTE_ROUTER_ROUTE_QUERY_H_

#include <cstdint>
#include <string_view>

#include "absl/types/span.h"
#include "indexer/base/enum_names.h"
#include "router/audit/response_usage.h"
#include "router/fleet/endpoint.h"
#include "router/load/client_id.h"
#include "router/prompt/prompt_view.h"
#include "router/prompt/text_memory.h"

// What an edge asks of the Router, whatever its protocol: unchecked, and viewed where it lies.
// Whoever makes a query keeps alive what it points into until it is answered.
namespace kvroute {

// A target as a client names it.
struct TargetName {
  std::string_view worker_id;
  uint32_t rank = 0;
};

// Why a query has no prompt, so that load alone decides. Metric label values.
enum class NoPrompt : uint8_t {
  kNo,            // it has one
  kNone,          // the request has no body
  kNotShown,      // whoever asks does not see the body
  kBody,          // the body does not say it, or not so that it can be read
  kBodyLimit,     // the body is longer than is kept of one
  kBodyMemory,    // the bodies of all requests take all there is for them
  kBodyTime,      // the body did not come in time
  kRender,        // nobody turned its text into tokens
  kUnknownModel,  // no worker serves its model, as far as is known
  kRefused,       // it is beyond a limit of prompts
};
inline constexpr auto kNoPromptNames =
    NamesUpTo<NoPrompt::kRefused>("no", "none", "not_shown", "body", "body_limit", "body_memory",
                                  "body_time", "render", "unknown_model", "refused");

// "Where should this prompt go?"
struct Query {
  std::string_view model;  // empty: the only model that the workers serve
  PromptView prompt;
  PromptNamespace prompt_namespace;
  // Only these may be chosen or scored; those that are no target of the model are passed over.
  // Empty: all targets of the model.
  absl::Span<const TargetName> candidates;
  // Only targets that have an endpoint may be chosen and, where `endpoints` names any, only these.
  bool by_endpoint = false;
  absl::Span<const Endpoint> endpoints;
  bool several_prompts = false;  // `prompt` is the longest of several of the request
  // Whoever computes the prompt is asked for, for another target that will go on with it.
  bool for_prefill = false;
  // Where the prompt is not known: the prompt is not read then, and nobody has a match.
  NoPrompt no_prompt = NoPrompt::kNo;
  uint64_t guessed_prompt_tokens = 0;  // of such a prompt; 0: no guess
  // Of the prompt's text, if it came as text: remembered with where it goes and, where the prompt
  // is not known, looked up. nullptr: none.
  const TextChain* text = nullptr;
  bool any_model = false;  // targets of every model may be chosen; without a prompt only

  // Of Route and Explain.
  std::string_view request_id;          // of the lease; empty: the Router makes one up
  uint32_t expected_output_tokens = 0;  // 0: unknown
  std::string_view policy;              // by its name; empty: the default policy
  uint32_t runner_ups = 0;              // next best targets to name beside the chosen one
  ClientId client = {};                 // whose lease it will be
  bool no_lease = false;                // the request is no load worth speaking of
  bool tie_to_stream = false;           // the lease ends with the client's stream at the latest

  // Of Score: leave out targets that hold nothing and whose stream is exact.
  bool only_matching = false;
};

// How far a routed request has come, numbered as in the API. It may hold any number: what a client
// sends is checked by Router::Complete.
enum class Progress : int {
  kUnspecified = 0,  // refused
  kPrefilled = 1,    // its first token is out
  kEnded = 2,        // finished, failed or cancelled
  kRunning = 3,      // still under way
};

// What became of a routed request.
struct Outcome {
  std::string_view request_id;
  Progress progress = Progress::kUnspecified;
  ClientId client = {};     // who tells
  AnswerUsage answer = {};  // of kEnded: what its engine says that it served
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_ROUTE_QUERY_H_
