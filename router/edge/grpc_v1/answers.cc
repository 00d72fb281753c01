#include "router/edge/grpc_v1/answers.h"

#include "indexer/base/error.h"
#include "router/edge/grpc_v1/query_messages.h"

namespace kvroute {
namespace {

QueryReader& ThreadReader() {
  thread_local QueryReader reader;
  return reader;
}

}  // namespace

absl::Status Answer(Router* router, const v1::RouteRequest& request, v1::RouteResponse* response) {
  thread_local Decision decision;
  KVROUTE_RETURN_IF_ERROR(router->Route(ThreadReader().Read(request), &decision));
  WriteDecision(decision, response);
  return absl::OkStatus();
}

absl::Status Answer(Router* router, const v1::ScoreRequest& request, v1::ScoreResponse* response) {
  thread_local Scores scores;
  KVROUTE_RETURN_IF_ERROR(router->Score(ThreadReader().Read(request), &scores));
  WriteScores(scores, response);
  return absl::OkStatus();
}

// Seldom, and as long as the fleet is large: nothing of it is kept.
absl::Status Answer(Router* router, const v1::RouteRequest& request,
                    v1::ExplainResponse* response) {
  Explanation explanation;
  KVROUTE_RETURN_IF_ERROR(router->Explain(ThreadReader().Read(request), &explanation));
  WriteExplanation(explanation, response);
  return absl::OkStatus();
}

absl::Status Answer(Router* router, const v1::CompleteRequest& request,
                    v1::CompleteResponse* response) {
  const absl::StatusOr<bool> known = router->Complete(ReadOutcome(request));
  if (!known.ok()) return known.status();
  response->set_known(*known);
  return absl::OkStatus();
}

}  // namespace kvroute
