#include "router/edge/grpc_v1/query_messages.h"

#include <string>
#include <string_view>

#include "indexer/base/limits.h"

namespace kvroute {
namespace {

// Where a repeated field of fixed-size numbers lies: one after the other.
template <typename Number>
absl::Span<const Number> SpanOf(const google::protobuf::RepeatedField<Number>& field) {
  return {field.data(), static_cast<size_t>(field.size())};
}

// Empties a list; one that grew beyond what a request may name gives its memory back.
template <typename Item>
void EmptyList(size_t kept_items, std::vector<Item>* list) {
  if (list->capacity() > kept_items) std::vector<Item>().swap(*list);
  list->clear();
}

void WriteTiers(const Match& match, v1::ByTier* blocks, v1::ByTier* tokens) {
  blocks->set_gpu(match.blocks_by_tier[static_cast<size_t>(Tier::kGpu)]);
  blocks->set_cpu(match.blocks_by_tier[static_cast<size_t>(Tier::kCpu)]);
  blocks->set_disk(match.blocks_by_tier[static_cast<size_t>(Tier::kDisk)]);
  blocks->set_external(match.blocks_by_tier[static_cast<size_t>(Tier::kExternal)]);
  tokens->set_gpu(match.tokens_in(Tier::kGpu));
  tokens->set_cpu(match.tokens_in(Tier::kCpu));
  tokens->set_disk(match.tokens_in(Tier::kDisk));
  tokens->set_external(match.tokens_in(Tier::kExternal));
}

void WriteMatch(const Match& match, v1::Match* message) {
  message->mutable_target()->set_worker_id(match.worker_id.data(), match.worker_id.size());
  message->mutable_target()->set_rank(match.rank);
  message->set_address(match.address.data(), match.address.size());
  message->set_matched_blocks(match.blocks);
  message->set_matched_tokens(match.tokens());
  WriteTiers(match, message->mutable_matched_blocks_by_tier(),
             message->mutable_matched_tokens_by_tier());
  message->set_uncached_tokens(match.uncached_tokens);
  message->set_trust(TrustMessage(match.trust));
  const std::string_view reason = TrustReasonName(match.trust_reason);
  message->set_trust_reason(reason.data(), reason.size());
  message->set_next_seq(match.next_seq);
  v1::Load* load = message->mutable_load();
  load->set_requests_in_flight(match.requests_in_flight);
  load->set_uncached_tokens_outstanding(match.uncached_tokens_outstanding);
  load->set_output_tokens_expected(match.output_tokens_expected);
}

}  // namespace

PromptView QueryReader::ReadPrompt(const v1::Prompt& prompt) {
  PromptView view;
  view.token_ids = SpanOf(prompt.token_ids());
  if (prompt.has_block_hashes()) {
    const v1::BlockHashes& given = prompt.block_hashes();
    view.block_hashes = {static_cast<BlockHashKind>(given.kind()), SpanOf(given.hashes()),
                         given.block_size_tokens(), given.prompt_tokens()};
  }
  EmptyList(limits::kMaxMultimodalInputs, &multimodal_);
  multimodal_.reserve(static_cast<size_t>(prompt.multimodal_size()));
  for (const v1::MultimodalInput& input : prompt.multimodal()) {
    multimodal_.push_back({input.identifier(), input.offset_tokens(), input.length_tokens()});
  }
  view.multimodal = multimodal_;
  return view;
}
static_assert(static_cast<int>(BlockHashKind::kLocal) == v1::BlockHashes::KIND_LOCAL &&
              static_cast<int>(BlockHashKind::kPrefix) == v1::BlockHashes::KIND_PREFIX);

template <typename Request>
Query QueryReader::ReadCommon(const Request& request) {
  Query query;
  query.model = request.model();
  query.prompt = ReadPrompt(request.prompt());
  query.prompt_namespace = {request.lora_name(), request.cache_salt()};
  EmptyList(limits::kMaxCandidates, &candidates_);
  candidates_.reserve(static_cast<size_t>(request.candidates_size()));
  for (const v1::Target& target : request.candidates()) {
    candidates_.push_back({target.worker_id(), target.rank()});
  }
  query.candidates = candidates_;
  return query;
}

Query QueryReader::Read(const v1::RouteRequest& request) {
  Query query = ReadCommon(request);
  query.request_id = request.request_id();
  query.expected_output_tokens = request.expected_output_tokens();
  query.policy = request.policy();
  query.runner_ups = request.runner_ups();
  return query;
}

Query QueryReader::Read(const v1::ScoreRequest& request) {
  Query query = ReadCommon(request);
  query.only_matching = request.only_matching();
  return query;
}

Outcome ReadOutcome(const v1::CompleteRequest& request) {
  return {request.request_id(), static_cast<Progress>(request.progress())};
}
static_assert(static_cast<int>(Progress::kPrefilled) == v1::CompleteRequest::PROGRESS_PREFILLED &&
              static_cast<int>(Progress::kEnded) == v1::CompleteRequest::PROGRESS_ENDED);

void WriteDecision(const Decision& decision, v1::RouteResponse* response) {
  WriteMatch(decision.chosen, response->mutable_chosen());
  response->set_total_blocks(decision.total_blocks);
  response->set_total_tokens(decision.total_tokens);
  response->set_request_id(decision.request_id);
  const std::string_view policy = PolicyName(decision.policy);
  response->set_policy(policy.data(), policy.size());
  const std::string_view reason = ChoiceReasonName(decision.reason);
  response->set_reason(reason.data(), reason.size());
  for (const Match& match : decision.runner_ups) WriteMatch(match, response->add_runner_ups());
}

void WriteScores(const Scores& scores, v1::ScoreResponse* response) {
  for (const Match& match : scores.matches) WriteMatch(match, response->add_matches());
  response->set_total_blocks(scores.total_blocks);
  response->set_total_tokens(scores.total_tokens);
}

void WriteExplanation(const Explanation& explanation, v1::ExplainResponse* response) {
  if (explanation.decision) WriteDecision(*explanation.decision, response->mutable_decision());
  for (const Explanation::Considered& considered : explanation.candidates) {
    v1::ExplainResponse::Candidate* candidate = response->add_candidates();
    WriteMatch(considered.match, candidate->mutable_match());
    candidate->set_score(considered.score);
    candidate->set_left_out(std::string(LeftOutName(considered.left_out)));
  }
  for (const LocalHash hash : explanation.local_hashes) response->add_local_hashes(hash.value());
  for (const PrefixHash hash : explanation.prefix_hashes) {
    response->add_prefix_hashes(hash.value());
  }
}

// 0 is TRUST_UNSPECIFIED.
v1::Trust TrustMessage(Trust trust) { return static_cast<v1::Trust>(static_cast<int>(trust) + 1); }
static_assert(static_cast<int>(Trust::kCold) + 1 == v1::TRUST_COLD &&
              static_cast<int>(Trust::kStale) + 1 == v1::TRUST_STALE);

void WriteLoad(const TargetLoad& load, v1::Load* message) {
  message->set_requests_in_flight(load.requests_in_flight.load(std::memory_order_relaxed));
  message->set_uncached_tokens_outstanding(
      load.uncached_tokens_outstanding.load(std::memory_order_relaxed));
  message->set_output_tokens_expected(load.output_tokens_expected.load(std::memory_order_relaxed));
}

}  // namespace kvroute
