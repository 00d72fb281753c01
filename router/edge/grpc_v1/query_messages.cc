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

// set_x(data, size) makes a string of its own first: an allocation more for texts of over 15 bytes.
void WriteText(std::string_view text, std::string* field) { field->assign(text); }

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
  WriteText(match.worker_id, message->mutable_target()->mutable_worker_id());
  message->mutable_target()->set_rank(match.rank);
  WriteText(match.address, message->mutable_address());
  message->set_matched_blocks(match.blocks);
  message->set_matched_tokens(match.tokens());
  WriteTiers(match, message->mutable_matched_blocks_by_tier(),
             message->mutable_matched_tokens_by_tier());
  message->set_uncached_tokens(match.uncached_tokens);
  message->set_in_flight_tokens(match.in_flight_tokens);
  message->set_trust(TrustMessage(match.trust));
  WriteText(TrustReasonName(match.trust_reason), message->mutable_trust_reason());
  message->set_unheard(match.unheard);
  message->set_next_seq(match.next_seq);
  v1::Load* load = message->mutable_load();
  load->set_requests_in_flight(match.requests_in_flight);
  load->set_uncached_tokens_outstanding(match.uncached_tokens_outstanding);
  load->set_output_tokens_expected(match.output_tokens_expected);
}

}  // namespace

PromptView QueryReader::ReadPrompt(const v1::Prompt& prompt, const LongNumbers& numbers) {
  PromptView view;
  view.token_ids = SpanOf(prompt.token_ids());
  if (!numbers.words.empty()) view.token_ids = numbers.words;
  if (prompt.has_block_hashes()) {
    const v1::BlockHashes& given = prompt.block_hashes();
    absl::Span<const uint64_t> hashes = SpanOf(given.hashes());
    if (!numbers.longs.empty()) hashes = numbers.longs;
    view.block_hashes = {static_cast<BlockHashKind>(given.kind()), hashes,
                         given.block_size_tokens(), given.prompt_tokens(),
                         given.lookahead_tokens()};
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
Query QueryReader::ReadCommon(const Request& request, const LongNumbers& numbers) {
  Query query;
  query.model = request.model();
  query.prompt = ReadPrompt(request.prompt(), numbers);
  query.prompt_namespace = {request.lora_name(), request.cache_salt()};
  EmptyList(limits::kMaxCandidates, &candidates_);
  candidates_.reserve(static_cast<size_t>(request.candidates_size()));
  for (const v1::Target& target : request.candidates()) {
    candidates_.push_back({target.worker_id(), target.rank()});
  }
  query.candidates = candidates_;
  return query;
}

Query QueryReader::Read(const v1::RouteRequest& request, const LongNumbers& numbers) {
  Query query = ReadCommon(request, numbers);
  query.request_id = request.request_id();
  query.expected_output_tokens = request.expected_output_tokens();
  query.policy = request.policy();
  query.runner_ups = request.runner_ups();
  query.tie_to_stream = request.tie_to_stream();
  return query;
}

Query QueryReader::Read(const v1::ScoreRequest& request, const LongNumbers& numbers) {
  Query query = ReadCommon(request, numbers);
  query.only_matching = request.only_matching();
  return query;
}

Outcome ReadOutcome(const v1::CompleteRequest& request) {
  Outcome outcome{request.request_id(), static_cast<Progress>(request.progress())};
  ResponseUsage& usage = outcome.answer.usage;
  if (request.has_prompt_tokens()) usage.prompt_tokens = request.prompt_tokens();
  if (request.has_cached_tokens()) usage.cached_tokens = request.cached_tokens();
  if (request.has_output_tokens()) usage.output_tokens = request.output_tokens();
  if (!usage.empty()) outcome.answer.end = UsageEnd::kFound;
  return outcome;
}
static_assert(static_cast<int>(Progress::kPrefilled) == v1::CompleteRequest::PROGRESS_PREFILLED &&
              static_cast<int>(Progress::kEnded) == v1::CompleteRequest::PROGRESS_ENDED &&
              static_cast<int>(Progress::kRunning) == v1::CompleteRequest::PROGRESS_RUNNING);

void WriteDecision(const Decision& decision, v1::RouteResponse* response) {
  WriteMatch(decision.chosen, response->mutable_chosen());
  response->set_total_blocks(decision.total_blocks);
  response->set_total_tokens(decision.total_tokens);
  response->set_request_id(decision.request_id);
  response->set_is_repeat(decision.is_repeat);
  WriteText(PolicyName(decision.policy), response->mutable_policy());
  WriteText(ChoiceReasonName(decision.reason), response->mutable_reason());
  for (const Match& match : decision.runner_ups) WriteMatch(match, response->add_runner_ups());
  for (size_t i = 0; i < decision.left_out.size(); ++i) {
    const auto why = static_cast<LeftOut>(i);
    if (decision.left_out[i] == 0 || why == LeftOut::kNotACandidate) continue;
    v1::LeftOut* message = response->add_left_out();
    WriteText(LeftOutName(why), message->mutable_reason());
    message->set_targets(decision.left_out[i]);
  }
}

void WriteScores(const Scores& scores, v1::ScoreResponse* response) {
  for (const Match& match : scores.matches) WriteMatch(match, response->add_matches());
  response->set_total_blocks(scores.total_blocks);
  response->set_total_tokens(scores.total_tokens);
}

void WriteEngine(const EngineSaid& engine, v1::ExplainResponse::Candidate* candidate) {
  if (engine.health == EngineHealth::kNotAsked) return;
  v1::ExplainResponse::Candidate::Engine* const to = candidate->mutable_engine();
  to->set_health(std::string(kEngineHealthNames[engine.health]));
  if (engine.at == Nanos(0)) return;
  to->set_waiting(engine.waiting);
  to->set_running(engine.running);
  to->set_kv_usage(engine.kv_usage);
  to->set_capacity_blocks(engine.capacity_blocks);
  const Nanos age = Clock::Real().Monotonic() - engine.at;
  to->set_age_ms(static_cast<uint64_t>(std::max<int64_t>(age.count() / 1'000'000, 0)));
}

void WriteExplanation(const Explanation& explanation, v1::ExplainResponse* response) {
  if (explanation.decision) WriteDecision(*explanation.decision, response->mutable_decision());
  for (const Explanation::Considered& considered : explanation.candidates) {
    v1::ExplainResponse::Candidate* candidate = response->add_candidates();
    WriteMatch(considered.match, candidate->mutable_match());
    candidate->set_score(considered.score);
    WriteText(LeftOutName(considered.left_out), candidate->mutable_left_out());
    WriteEngine(considered.match.engine, candidate);
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
