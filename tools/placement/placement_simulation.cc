#include "tools/placement/placement_simulation.h"

#include <algorithm>

#include "indexer/base/check.h"

namespace kvroute {

// Hears one engine's pool.
class PlacementSimulation::Tap : public BasicCacheEvents<BlockKey> {
 public:
  Tap(size_t target, PoolAnnouncements* announcements)
      : target_(target), announcements_(announcements) {}

  void Stored(const BlockKey* parent, absl::Span<const BlockKey> hashes,
              absl::Span<const TokenId> /*tokens*/, const HashNamespace& /*names*/) override {
    announcements_->Stored(target_, parent, hashes);
  }
  void Removed(const BlockKey& hash) override { announcements_->Removed(target_, hash); }
  void Cleared() override { KVROUTE_CHECK(false); }  // nobody clears a pool here

 private:
  const size_t target_;
  PoolAnnouncements* const announcements_;
};

PlacementSimulation::PlacementSimulation(const PlacementSimulationOptions& options,
                                         const PlacementWorkload* workload, PlacementPolicy* policy)
    : options_(options),
      workload_(workload),
      policy_(policy),
      loads_(options.workers),
      candidates_(options.workers) {
  PoolAnnouncements* announcements = policy->announcements();
  if (options.announcement_lag > Nanos(0)) {
    view_ = std::make_unique<LaggingView>(options.workers, options.announcement_lag, announcements);
    announcements = view_.get();
  }
  EngineOptions engine = options.profile.Timed(options.engine);
  engine.block_size_tokens = workload->block_size_tokens();
  for (size_t i = 0; i < options.workers; ++i) {
    if (announcements != nullptr) taps_.push_back(std::make_unique<Tap>(i, announcements));
    engines_.push_back(std::make_unique<FleetEngine>(
        engine, Announce::kEveryCopy, announcements != nullptr ? taps_.back().get() : nullptr));
  }
  const auto requests = workload->requests();
  outcome_.requests.resize(requests.size());
  if (options.driving == Driving::kThink) next_turns_.resize(requests.size());
  for (uint32_t i = 0; i < requests.size(); ++i) {
    const bool waits = options.driving == Driving::kThink && requests[i].previous_turn.has_value();
    if (waits) {
      next_turns_[*requests[i].previous_turn].push_back(i);
    } else {
      const Nanos arrival =
          options.driving == Driving::kFlood
              ? Nanos(0)
              : std::chrono::duration_cast<Nanos>((requests[i].arrival - requests.front().arrival) *
                                                  options.time_scale);
      arrivals_.push({arrival, i});
    }
  }
}

PlacementSimulation::~PlacementSimulation() = default;

PlacementOutcome PlacementSimulation::Run() {
  while (!arrivals_.empty() || !step_ends_.empty()) {
    if (step_ends_.empty() ||
        (!arrivals_.empty() && arrivals_.top().first <= step_ends_.top().first)) {
      ArriveAll();
    } else {
      const auto [at, worker] = step_ends_.top();
      step_ends_.pop();
      now_ = at;
      EndStep(worker);
    }
  }
  for (const auto& engine : engines_) {
    outcome_.prefilled_tokens.push_back(engine->prefilled_tokens());
    outcome_.preemptions += engine->preemptions();
  }
  outcome_.end = now_;
  return std::move(outcome_);
}

void PlacementSimulation::ArriveAll() {
  now_ = arrivals_.top().first;
  if (view_ != nullptr) {
    view_->SetNow(now_);
    view_->Deliver();
  }
  woken_.clear();
  while (!arrivals_.empty() && arrivals_.top().first == now_) {
    const uint32_t number = arrivals_.top().second;
    arrivals_.pop();
    Place(number);
  }
  for (const uint32_t worker : woken_) StartStep(worker);
}

void PlacementSimulation::Place(uint32_t number) {
  const WorkloadRequest& request = workload_->requests()[number];
  const PlacementQuery query = QueryOf(number);
  LookAtTargets(request.prompt_blocks, request.prompt_tokens);
  const size_t target = policy_->Choose(query, candidates_);
  KVROUTE_CHECK(target < engines_.size());
  Candidate& chosen = candidates_[target];
  chosen.matched_tokens =
      uint64_t{CountMatched(target, request.prompt_blocks)} * workload_->block_size_tokens();
  chosen.uncached_tokens = std::max<uint64_t>(request.prompt_tokens - chosen.matched_tokens, 1);
  policy_->Dispatched(query, chosen);
  loads_.Begin(number, target, chosen.uncached_tokens, request.output_tokens);

  auto submitted = std::make_unique<FleetEngine::Request>();
  submitted->number = number;
  submitted->prompt_tokens = request.prompt_tokens;
  submitted->unnamed_tokens = request.prompt_tokens + request.output_tokens;
  submitted->hashes.assign(request.blocks.begin(), request.blocks.end());
  engines_[target]->Submit(std::move(submitted));
  woken_.push_back(static_cast<uint32_t>(target));
  outcome_.requests[number].arrival = now_;
  outcome_.requests[number].target = static_cast<uint32_t>(target);
}

void PlacementSimulation::LookAtTargets(absl::Span<const BlockKey> prompt_blocks,
                                        uint32_t prompt_tokens) {
  const bool match = policy_->WantsMatches();
  for (size_t i = 0; i < engines_.size(); ++i) {
    const LeasedLoads::Load& load = loads_[i];
    const FleetEngine& engine = *engines_[i];
    Candidate& candidate = candidates_[i];
    candidate.target = static_cast<uint32_t>(i);
    candidate.matched_tokens =
        match ? uint64_t{CountMatched(i, prompt_blocks)} * workload_->block_size_tokens() : 0;
    candidate.uncached_tokens = std::max<uint64_t>(prompt_tokens - candidate.matched_tokens, 1);
    candidate.requests_in_flight = load.requests_in_flight;
    candidate.requests_begun = load.requests_begun;
    candidate.uncached_tokens_outstanding = load.uncached_tokens_outstanding;
    candidate.output_tokens_expected = load.output_tokens_expected;
    candidate.waiting = static_cast<uint32_t>(engine.waiting_count());
    candidate.running = static_cast<uint32_t>(engine.request_count()) - candidate.waiting;
    candidate.capacity_blocks = options_.engine.capacity_blocks;
    candidate.kv_usage_millionths = static_cast<uint32_t>(
        uint64_t{engine.used_blocks()} * 1'000'000 / options_.engine.capacity_blocks);
  }
}

uint32_t PlacementSimulation::CountMatched(size_t target,
                                           absl::Span<const BlockKey> prompt_blocks) const {
  return view_ != nullptr ? view_->CountResident(target, prompt_blocks)
                          : engines_[target]->CountResident(prompt_blocks);
}

void PlacementSimulation::StartStep(uint32_t worker) {
  if (engines_[worker]->stepping()) return;
  if (view_ != nullptr) view_->SetNow(now_);
  const std::optional<Nanos> duration = engines_[worker]->StartStep();
  if (duration.has_value()) step_ends_.push({now_ + *duration, worker});
}

void PlacementSimulation::EndStep(uint32_t worker) {
  outcomes_.clear();
  engines_[worker]->EndStep(&outcomes_);
  for (const StepOutcome& outcome : outcomes_) {
    PlacedRequest& request = outcome_.requests[outcome.number];
    if (outcome.first_token) {
      request.first_token = now_;
      request.cached_tokens = outcome.cached_tokens;
      loads_.Prefilled(outcome.number);
      policy_->Prefilled(outcome.number, worker, now_);
    }
    if (outcome.finished) {
      request.end = now_;
      loads_.Ended(outcome.number);
      policy_->Ended(outcome.number, worker, now_);
      ScheduleNextTurns(static_cast<uint32_t>(outcome.number));
    }
  }
  StartStep(worker);
}

void PlacementSimulation::ScheduleNextTurns(uint32_t number) {
  if (next_turns_.empty()) return;
  for (const uint32_t next : next_turns_[number]) {
    const Nanos think =
        std::chrono::duration_cast<Nanos>(workload_->requests()[next].think * options_.time_scale);
    arrivals_.push({now_ + think, next});
  }
}

PlacementQuery PlacementSimulation::QueryOf(uint32_t number) const {
  const WorkloadRequest& request = workload_->requests()[number];
  const auto previous = request.previous_turn;
  return {.number = number,
          .now = now_,
          .prompt_tokens = request.prompt_tokens,
          .output_tokens = request.output_tokens,
          .prompt_blocks = request.prompt_blocks,
          .conversation = request.conversation,
          .previous_prompt_tokens =
              previous.has_value() ? workload_->requests()[*previous].prompt_tokens : 0,
          .tie_break = TieBreak(options_.tie_seed, number)};
}

}  // namespace kvroute
