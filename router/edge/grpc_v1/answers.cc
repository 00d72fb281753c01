#include "router/edge/grpc_v1/answers.h"

#include "indexer/base/error.h"
#include "router/edge/grpc_v1/query_messages.h"

namespace kvroute {
namespace {

template <typename Request>
Query Read(const ClientId& client, const Request& request, const LongNumbers& numbers) {
  thread_local QueryReader reader;
  Query query = reader.Read(request, numbers);
  query.client = client;
  return query;
}

}  // namespace

absl::Status Answer(Router* router, const ClientId& client, const v1::RouteRequest& request,
                    v1::RouteResponse* response, const LongNumbers& numbers) {
  thread_local Decision decision;
  KVROUTE_RETURN_IF_ERROR(router->Route(Read(client, request, numbers), &decision));
  WriteDecision(decision, response);
  return absl::OkStatus();
}

absl::Status Answer(Router* router, const ClientId& client, const v1::ScoreRequest& request,
                    v1::ScoreResponse* response, const LongNumbers& numbers) {
  thread_local Scores scores;
  KVROUTE_RETURN_IF_ERROR(router->Score(Read(client, request, numbers), &scores));
  WriteScores(scores, response);
  return absl::OkStatus();
}

// Seldom, and as long as the fleet is large: nothing of it is kept.
absl::Status Answer(Router* router, const ClientId& client, const v1::RouteRequest& request,
                    v1::ExplainResponse* response, const LongNumbers& numbers) {
  Explanation explanation;
  KVROUTE_RETURN_IF_ERROR(router->Explain(Read(client, request, numbers), &explanation));
  WriteExplanation(explanation, response);
  return absl::OkStatus();
}

absl::Status Answer(Router* router, const ClientId& client, const v1::CompleteRequest& request,
                    v1::CompleteResponse* response) {
  Outcome outcome = ReadOutcome(request);
  outcome.client = client;
  const absl::StatusOr<bool> known = router->Complete(outcome);
  if (!known.ok()) return known.status();
  response->set_known(*known);
  return absl::OkStatus();
}

}  // namespace kvroute
