#include "tools/fleet/simulation.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kvroute {
namespace {

// a replay request waits at most so long
constexpr Nanos kServeInterval = std::chrono::milliseconds(2);
// a moment's requests that are placed in one go; the memory of their tokens and hashes
constexpr size_t kPlacedTogether = 64;
constexpr Nanos kProgressInterval = std::chrono::seconds(1);

}  // namespace

Simulation::Simulation(const SimulationOptions& options, absl::Span<const TraceRequest> requests,
                       absl::Span<SimulatedRank> ranks, Placer* placer)
    : options_(options),
      requests_(requests),
      ranks_(ranks),
      placer_(placer),
      pacer_(options.speedup, &Clock::Real()),
      phases_(&Clock::Real()),
      rank_states_(ranks.size()),
      request_states_(requests.size()),
      next_progress_(kProgressInterval) {
  for (size_t i = 0; i < options_.misbehaviours.size(); ++i) {
    Schedule(options_.misbehaviours[i].at, EventKind::kMisbehaviour, i);
  }
}

absl::StatusOr<PolicyReport> Simulation::Run() {
  size_t next_request = 0;
  while (requests_done_ < requests_.size()) {
    const Nanos arrival = next_request < requests_.size()
                              ? std::chrono::milliseconds(requests_[next_request].timestamp_ms)
                              : Nanos::max();
    absl::Status status;
    if (events_.empty() || arrival <= events_.top().at) {
      AdvanceTo(arrival);
      size_t end = next_request + 1;
      while (end < requests_.size() && end - next_request < kPlacedTogether &&
             requests_[end].timestamp_ms == requests_[next_request].timestamp_ms) {
        ++end;
      }
      status = Arrive(next_request, end);
      next_request = end;
    } else {
      const Event event = events_.top();
      events_.pop();
      AdvanceTo(event.at);
      status = Handle(event);
    }
    if (!status.ok()) return status;
  }
  // What was published last is applied too: kvroute's own counters are the same in every run.
  if (absl::Status status = PreparePlacement(); !status.ok()) return status;
  return Report();
}

absl::Status Simulation::Handle(const Event& event) {
  switch (event.kind) {
    case EventKind::kStepEnd:
      return event.life == rank_states_[event.index].life ? EndStep(event.index) : absl::OkStatus();
    case EventKind::kMisbehaviour:
      return Misbehave(options_.misbehaviours[event.index]);
    case EventKind::kWakeUp:
      StartStep(event.index);
      return absl::OkStatus();
    case EventKind::kReconnect:
      return ranks_[event.index].stream->sockets().Open();
  }
  return absl::OkStatus();
}

absl::Status Simulation::Arrive(size_t first, size_t end) {
  std::vector<std::unique_ptr<EngineRequest>> requests;
  for (size_t number = first; number < end; ++number) requests.push_back(MakeRequest(number));
  if (absl::Status status = PreparePlacement(); !status.ok()) return status;
  const auto placements = Place(requests);
  if (!placements.ok()) return placements.status();
  for (size_t i = 0; i < requests.size(); ++i) {
    const RequestPlacement& placement = (*placements)[i];
    const size_t target = placement.decision.target;
    SimulatedRank& rank = ranks_[target];
    EngineRequest& request = *requests[i];
    if (request.hashes.empty()) rank.hasher->Hash(request.tokens, &request.hashes);
    if (placement.prediction.has_value()) {
      Check(rank, absl::MakeConstSpan(request.hashes).first(PromptBlocks(request)), placement);
    }
    decisions_.push_back(placement.decision);
    request_states_[request.number].arrival = now_;
    rank.engine->Submit(std::move(requests[i]));
    Schedule(now_, EventKind::kWakeUp, target);
  }
  return absl::OkStatus();
}

// Hashed when all engines are of one scheme; else the chosen one decides which.
std::unique_ptr<EngineRequest> Simulation::MakeRequest(size_t number) const {
  const TraceRequest& traced = requests_[number];
  auto request = std::make_unique<EngineRequest>();
  request->number = number;
  request->prompt_tokens = traced.input_length;
  ExpandPrompt(traced, &request->tokens);
  ExpandOutput(traced, number, &request->tokens);
  const bool one_scheme = ranks_.front().stream == nullptr;
  if (one_scheme) ranks_.front().hasher->Hash(request->tokens, &request->hashes);
  return request;
}

absl::Status Simulation::PreparePlacement() {
  if (!options_.before_placement) return absl::OkStatus();
  {
    const PhaseClock::Scope publishing(&phases_, Phase::kPublishing);
    for (const SimulatedRank& rank : ranks_) {
      if (rank.stream != nullptr) rank.stream->PublishHeld();
    }
  }
  const PhaseClock::Scope waiting(&phases_, Phase::kWaiting);
  return options_.before_placement();
}

absl::StatusOr<std::vector<RequestPlacement>> Simulation::Place(
    absl::Span<const std::unique_ptr<EngineRequest>> requests) {
  std::vector<PlacementRequest> asked;
  for (const auto& request : requests) {
    const auto hashes = absl::MakeConstSpan(request->hashes);
    asked.push_back({.number = request->number,
                     .prompt = absl::MakeConstSpan(request->tokens).first(request->prompt_tokens),
                     .hashes = hashes.empty() ? hashes : hashes.first(PromptBlocks(*request)),
                     .output_tokens = requests_[request->number].output_length});
  }
  const PhaseClock::Scope deciding(&phases_, Phase::kDeciding);
  return placer_->PlaceAll(asked);
}

size_t Simulation::PromptBlocks(const EngineRequest& request) const {
  return request.prompt_tokens / options_.block_size_tokens;
}

void Simulation::Check(const SimulatedRank& rank, absl::Span<const Digest> prompt_hashes,
                       const RequestPlacement& placement) {
  const PredictionBasis& prediction = *placement.prediction;
  const uint64_t predicted = placement.decision.matched_blocks;
  const uint64_t actual = rank.engine->CountResident(prompt_hashes);
  const bool settled = prediction.next_seq == rank.stream->sockets().next_seq();
  if (!prediction.exact) {
    ++predictions_.not_exact;
  } else if (!settled) {
    ++predictions_.not_settled;
    if (predicted == actual) ++predictions_.not_settled_equal;
  } else if (predicted == actual) {
    ++predictions_.equal;
  } else if (predicted > actual) {
    ++predictions_.over;
  } else {
    ++predictions_.under;
  }
}

absl::Status Simulation::EndStep(size_t index) {
  outcomes_.clear();
  ranks_[index].engine->EndStep(&outcomes_);
  StartStep(index);
  const PhaseClock::Scope deciding(&phases_, Phase::kDeciding);
  for (const StepOutcome& outcome : outcomes_) {
    RequestState& state = request_states_[outcome.number];
    if (outcome.first_token && !state.first_token) {
      state.first_token = true;
      ttft_ms_.push_back(Ms(now_ - state.arrival));
      if (absl::Status status = placer_->Prefilled(outcome.number); !status.ok()) return status;
    }
    if (outcome.finished) {
      ++requests_done_;
      cached_tokens_ += outcome.cached_tokens;
      prompt_tokens_ += requests_[outcome.number].input_length;
      if (absl::Status status = placer_->Ended(outcome.number); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

void Simulation::StartStep(size_t index) {
  SimulatedRank& rank = ranks_[index];
  if (rank.engine->stepping() || now_ < rank_states_[index].asleep_until) return;
  const std::optional<Nanos> duration = rank.engine->StartStep();
  if (rank.stream != nullptr) {
    const PhaseClock::Scope publishing(&phases_, Phase::kPublishing);
    rank.stream->PublishStep();
  }
  if (duration.has_value()) Schedule(now_ + *duration, EventKind::kStepEnd, index);
}

absl::Status Simulation::Misbehave(const Misbehaviour& misbehaviour) {
  const auto found = std::find_if(ranks_.begin(), ranks_.end(), [&](const SimulatedRank& rank) {
    return rank.worker == misbehaviour.worker && rank.rank == misbehaviour.rank;
  });
  if (found == ranks_.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "misbehaviour: there is no worker ", misbehaviour.worker, " rank ", misbehaviour.rank));
  }
  const auto index = static_cast<size_t>(found - ranks_.begin());
  StreamPublisher* const stream = found->stream.get();
  PublisherFaults unheard;  // of an engine without a stream
  PublisherFaults& faults = stream != nullptr ? stream->sockets().faults() : unheard;
  switch (misbehaviour.kind) {
    case MisbehaviourKind::kDrop:
      faults.drop_live += misbehaviour.amount;
      break;
    case MisbehaviourKind::kLose:
      faults.lose += misbehaviour.amount;
      break;
    case MisbehaviourKind::kCorrupt:
      faults.corrupt += misbehaviour.amount;
      break;
    case MisbehaviourKind::kDuplicate:
      faults.duplicate += misbehaviour.amount;
      break;
    case MisbehaviourKind::kRestart:
    case MisbehaviourKind::kRenumber: {
      ++rank_states_[index].life;
      found->engine->Restart();
      const bool cut = misbehaviour.kind == MisbehaviourKind::kRestart;
      if (stream != nullptr && !cut) stream->sockets().RestartNumbers();
      if (stream != nullptr && cut) {
        if (absl::Status status = stream->sockets().Restart(); !status.ok()) return status;
      }
      SleepFor(index, cut ? misbehaviour.amount : 0);
      break;
    }
    case MisbehaviourKind::kClear:
      found->engine->ClearCacheAtNextStep();
      StartStep(index);
      break;
    case MisbehaviourKind::kPause:
      SleepFor(index, misbehaviour.amount);
      break;
    case MisbehaviourKind::kCut:
      if (stream == nullptr) break;
      stream->sockets().Close();
      Schedule(now_ + std::chrono::seconds(misbehaviour.amount), EventKind::kReconnect, index);
      break;
  }
  return absl::OkStatus();
}

void Simulation::SleepFor(size_t index, uint64_t seconds) {
  rank_states_[index].asleep_until = now_ + std::chrono::seconds(seconds);
  Schedule(rank_states_[index].asleep_until, EventKind::kWakeUp, index);
}

void Simulation::Schedule(Nanos at, EventKind kind, size_t index) {
  const uint64_t life = kind == EventKind::kMisbehaviour ? 0 : rank_states_[index].life;
  events_.push({.at = at, .order = next_order_++, .kind = kind, .index = index, .life = life});
}

void Simulation::AdvanceTo(Nanos at) {
  now_ = at;
  pacer_.WaitUntil(at, [this] { ServeReplays(); });
  const Nanos elapsed = pacer_.elapsed();
  if (elapsed >= next_serve_) ServeReplays();
  if (options_.progress && elapsed >= next_progress_) {
    next_progress_ = elapsed + kProgressInterval;
    options_.progress(requests_done_, now_, pacer_.behind());
  }
}

void Simulation::ServeReplays() {
  for (const SimulatedRank& rank : ranks_) {
    if (rank.stream != nullptr) rank.stream->sockets().Serve();
  }
  next_serve_ = pacer_.elapsed() + kServeInterval;
}

PolicyReport Simulation::Report() {
  PolicyReport report;
  report.requests = requests_done_;
  report.prompt_tokens = prompt_tokens_;
  report.cached_tokens = cached_tokens_;
  report.predictions = predictions_;
  report.decisions = std::move(decisions_);
  report.phases = phases_.Read();
  report.ttft_ms = PercentilesOf(ttft_ms_);
  uint64_t most = 0, sum = 0;
  for (const SimulatedRank& rank : ranks_) {
    most = std::max(most, rank.engine->prefilled_tokens());
    sum += rank.engine->prefilled_tokens();
    report.preemptions += rank.engine->preemptions();
    if (rank.stream == nullptr) continue;
    report.batches += rank.stream->batches();
    report.published_blocks += rank.stream->published_blocks();
  }
  if (sum > 0)
    report.imbalance =
        static_cast<double>(most) * static_cast<double>(ranks_.size()) / static_cast<double>(sum);
  report.virtual_seconds = std::chrono::duration<double>(now_).count();
  report.wall_seconds = std::chrono::duration<double>(pacer_.elapsed()).count();
  report.max_behind_ms = Ms(pacer_.max_behind());
  return report;
}

}  // namespace kvroute
