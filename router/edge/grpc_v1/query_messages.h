#ifndef KVROUTE_ROUTER_EDGE_GRPC_V1_QUERY_MESSAGES_H_
#define KVROUTE_ROUTER_EDGE_GRPC_V1_QUERY_MESSAGES_H_

#include <vector>

#include "kvroute/v1/router.pb.h"
#include "router/edge/grpc_base/request_bytes.h"
#include "router/load/load_tracker.h"
#include "router/route/decision.h"
#include "router/route/query.h"

// The messages of the Router service as what the Router speaks, and back. Nothing is checked here:
// the Router is what knows the limits.
namespace kvroute {

// Reads messages as queries. Prompts, hashes and texts are viewed where they lie in the message;
// only candidates and multimodal inputs are listed anew, in memory that is kept for the next
// message (that of a request beyond the limits is freed with it).
//
// Thread safety: one thread. Ownership: a query is good until the next one is read or its message
// changes.
class QueryReader {
 public:
  // `numbers` are the prompt's if they have been taken out of the message (prompt_numbers.h).
  Query Read(const v1::RouteRequest& request, const LongNumbers& numbers = {});
  Query Read(const v1::ScoreRequest& request, const LongNumbers& numbers = {});

 private:
  template <typename Request>
  Query ReadCommon(const Request& request, const LongNumbers& numbers);
  PromptView ReadPrompt(const v1::Prompt& prompt, const LongNumbers& numbers);

  std::vector<TargetName> candidates_;
  std::vector<MultimodalInput> multimodal_;
};

Outcome ReadOutcome(const v1::CompleteRequest& request);  // views the request

// The message must be empty.
void WriteDecision(const Decision& decision, v1::RouteResponse* response);
void WriteScores(const Scores& scores, v1::ScoreResponse* response);
void WriteExplanation(const Explanation& explanation, v1::ExplainResponse* response);

// Also of the Fleet service.
v1::Trust TrustMessage(Trust trust);
void WriteLoad(const TargetLoad& load, v1::Load* message);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_V1_QUERY_MESSAGES_H_
