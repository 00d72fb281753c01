#include "tools/engine/engine_host.h"

#include <algorithm>
#include <utility>

#include "indexer/base/error.h"
#include "indexer/base/log.h"
#include "tools/fleet/chain_hasher.h"

namespace kvroute {
namespace {

// A replay request waits at most so long, while there are no more ranks than are served at a time.
constexpr Nanos kServeInterval = std::chrono::milliseconds(2);
constexpr size_t kServedAtATime = 64;
// Steps that end in one go, before other work is looked at.
constexpr int kStepsAtATime = 256;

}  // namespace

absl::StatusOr<std::unique_ptr<EngineHost>> EngineHost::Start(const EngineHostOptions& options) {
  std::unique_ptr<EngineHost> host(new EngineHost(options));
  KVROUTE_RETURN_IF_ERROR(host->Open());
  host->thread_ = NamedThread("engines", [host = host.get()] { host->Run(); });
  return host;
}

EngineHost::EngineHost(const EngineHostOptions& options) : options_(options) {}

void EngineHost::Stop() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  changed_.NotifyAll();
  thread_.Join();
  for (const auto& rank : ranks_) FailAll(rank.get());
}

absl::Status EngineHost::Open() {
  for (size_t engine = 0; engine < engines(); ++engine) {
    for (uint32_t rank = 0; rank < ranks(); ++rank) {
      const StreamEndpoints& at = options_.streams[engine][rank];
      auto stream = StreamPublisher::Create(&context_, options_.style, rank,
                                            options_.engine.block_size_tokens, 1, at);
      if (!stream.ok()) {
        return Error(stream.status().code(), "engine {} rank {}: {}", engine, rank,
                     MessageOf(stream.status()));
      }
      auto made = std::make_unique<Rank>();
      made->stream = *std::move(stream);
      made->endpoints = {.event = made->stream->sockets().event_endpoint(),
                         .replay = made->stream->sockets().replay_endpoint(),
                         .topic = at.topic};
      made->engine = NewEngine(made.get());
      ranks_.push_back(std::move(made));
    }
  }
  return absl::OkStatus();
}

std::unique_ptr<Engine> EngineHost::NewEngine(Rank* rank) const {
  EngineOptions options = options_.engine;
  options.every_token = true;
  const bool one_copy = EngineKindOf(options_.style) == EngineKind::kSglang;
  return std::make_unique<Engine>(options, one_copy ? Announce::kFirstCopy : Announce::kEveryCopy,
                                  rank->stream.get());
}

absl::StatusOr<EngineHost::Submitted> EngineHost::Submit(size_t engine,
                                                         std::optional<uint32_t> rank,
                                                         GenerationSpec spec) {
  if (rank.has_value() && *rank >= ranks()) {
    return InvalidArgument("X-data-parallel-rank: {}; there are {} ranks", *rank, ranks());
  }
  const uint64_t capacity =
      uint64_t{options_.engine.capacity_blocks} * options_.engine.block_size_tokens;
  if (spec.tokens.size() > capacity) {
    return InvalidArgument("prompt: {} tokens with the answer; the cache has {}",
                           spec.tokens.size(), capacity);
  }
  auto request = std::make_unique<EngineRequest>();
  request->number = next_number_.fetch_add(1, std::memory_order_relaxed);
  request->prompt_tokens = spec.prompt_tokens;
  request->tokens = std::move(spec.tokens);
  request->lora_name = std::move(spec.lora_name);
  request->cache_salt = std::move(spec.cache_salt);
  ChainHasher(HashSchemeOf(options_.style), options_.engine.block_size_tokens)
      .Hash(request->tokens, &request->hashes,
            {.lora_name = request->lora_name, .cache_salt = request->cache_salt});
  Submitted submitted{
      .generation = std::make_shared<Generation>(), .number = request->number, .engine = engine};
  const bool taken =
      Post([this, engine, rank, generation = submitted.generation,
            request = std::make_shared<std::unique_ptr<EngineRequest>>(std::move(request))] {
        Accept(engine, rank, std::move(*request), generation);
      });
  if (!taken) submitted.generation->Set({.failed = true});
  return submitted;
}

void EngineHost::Accept(size_t engine, std::optional<uint32_t> rank,
                        std::unique_ptr<EngineRequest> request,
                        std::shared_ptr<Generation> generation) {
  const size_t first = engine * ranks();
  size_t chosen = first + rank.value_or(0);
  for (uint32_t i = 0; i < ranks() && !rank.has_value(); ++i) {
    const size_t other = first + i;
    if (ranks_[other]->engine->request_count() < ranks_[chosen]->engine->request_count()) {
      chosen = other;
    }
  }
  Rank& it = *ranks_[chosen];
  if (it.dead) {
    generation->Set({.failed = true});
    return;
  }
  it.generations[request->number] = std::move(generation);
  it.counts.prompt_tokens += request->prompt_tokens;
  it.engine->Submit(std::move(request));
  StartStep(chosen);
  TellCounts(&it);
}

void EngineHost::Cancel(const Submitted& submitted) {
  Post([this, submitted] { Forget(submitted); });
}

void EngineHost::Forget(const Submitted& submitted) {
  for (uint32_t i = 0; i < ranks(); ++i) {
    Rank& rank = *ranks_[submitted.engine * ranks() + i];
    if (rank.generations.erase(submitted.number) == 0) continue;
    rank.engine->Abort(submitted.number);
    ++rank.counts.aborted;
    TellCounts(&rank);
  }
}

void EngineHost::SetSlowdown(size_t engine, double factor) {
  PostForRanks(engine, [factor](Rank* rank) { rank->slowdown = factor; });
}

void EngineHost::ClearCache(size_t engine) {
  PostForRanks(engine, [](Rank* rank) { rank->engine->ClearCacheAtNextStep(); });
  Post([this, engine] {  // an idle engine clears at once, too
    for (uint32_t i = 0; i < ranks(); ++i) StartStep(engine * ranks() + i);
  });
}

void EngineHost::Kill(size_t engine) {
  PostForRanks(engine, [this](Rank* rank) {
    if (std::exchange(rank->dead, true)) return;
    ++rank->life;
    rank->stepping = false;
    rank->stream->DropStep();
    rank->stream->sockets().Close();
    rank->engine = NewEngine(rank);
    TellCounts(rank);
    FailAll(rank);
  });
}

void EngineHost::Revive(size_t engine) {
  PostForRanks(engine, [](Rank* rank) {
    if (!std::exchange(rank->dead, false)) return;
    const absl::Status status = rank->stream->sockets().Restart();
    if (!status.ok()) LogError("engine: {}", MessageOf(status));
  });
}

bool EngineHost::Post(std::function<void()> work) {
  {
    MutexLock lock(&mutex_);
    if (ending_) return false;
    posted_.push_back(std::move(work));
  }
  changed_.NotifyOne();
  return true;
}

void EngineHost::PostForRanks(size_t engine, std::function<void(Rank*)> work) {
  Post([this, engine, work = std::move(work)] {
    for (uint32_t i = 0; i < ranks(); ++i) work(ranks_[engine * ranks() + i].get());
  });
}

void EngineHost::Run() {
  std::vector<std::function<void()>> work;
  while (TakeWork(&work)) {
    for (const auto& one : work) one();
    work.clear();
    EndSteps();
    if (clock_->Monotonic() >= next_serve_) ServeReplays();
  }
  for (const auto& one : work) one();  // who was submitted last is failed with the others
}

bool EngineHost::TakeWork(std::vector<std::function<void()>>* work) {
  const Nanos pause = UntilNext();
  MutexLock lock(&mutex_);
  if (posted_.empty() && !ending_ && pause > Nanos(0)) changed_.WaitFor(&mutex_, pause);
  std::swap(*work, posted_);
  return !ending_;
}

Nanos EngineHost::UntilNext() const {
  const Nanos next = step_ends_.empty() ? next_serve_ : std::min(next_serve_, step_ends_.top().at);
  return next - clock_->Monotonic();
}

void EngineHost::StartStep(size_t number) {
  Rank& rank = *ranks_[number];
  if (rank.stepping || rank.dead) return;
  const std::optional<Nanos> duration = rank.engine->StartStep();
  rank.stream->PublishStep();
  if (!duration.has_value()) return;
  rank.stepping = true;
  const double factor = rank.slowdown / options_.speedup;
  const auto takes = std::chrono::duration_cast<Nanos>(*duration * factor);
  step_ends_.push({.at = clock_->Monotonic() + takes, .rank = number, .life = rank.life});
}

void EngineHost::EndSteps() {
  const Nanos now = clock_->Monotonic();
  for (int i = 0; i < kStepsAtATime && !step_ends_.empty() && step_ends_.top().at <= now; ++i) {
    const StepEnd end = step_ends_.top();
    step_ends_.pop();
    if (end.life == ranks_[end.rank]->life) EndStep(end.rank);
  }
}

void EngineHost::EndStep(size_t number) {
  Rank& rank = *ranks_[number];
  rank.stepping = false;
  outcomes_.clear();
  rank.engine->EndStep(&outcomes_);
  StartStep(number);
  TellCounts(&rank);
  for (const StepOutcome& outcome : outcomes_) {
    ++rank.counts.generated_tokens;
    if (outcome.first_token) rank.counts.cached_tokens += outcome.cached_tokens;
    const auto found = rank.generations.find(outcome.number);
    if (found == rank.generations.end()) continue;
    const std::shared_ptr<Generation> generation = found->second;
    if (outcome.finished) {
      ++rank.counts.finished;
      rank.generations.erase(found);
    }
    generation->Set({.generated_tokens = outcome.generated_tokens,
                     .cached_tokens = outcome.cached_tokens,
                     .finished = outcome.finished});
  }
}

void EngineHost::TellCounts(Rank* rank) {
  const Engine& engine = *rank->engine;
  rank->counts.waiting = engine.waiting_count();
  rank->counts.running = engine.request_count() - engine.waiting_count();
  rank->counts.used_blocks = engine.used_blocks();
  rank->counts.preemptions = engine.preemptions();
  rank->counts.published_batches = rank->stream->batches();
}

void EngineHost::FailAll(Rank* rank) {
  for (auto& [number, generation] : std::exchange(rank->generations, {})) {
    Generation::Progress progress = generation->Read();
    progress.failed = true;
    generation->Set(progress);
  }
}

void EngineHost::ServeReplays() {
  const size_t count = std::min(ranks_.size(), kServedAtATime);
  for (size_t i = 0; i < count; ++i) {
    Rank& rank = *ranks_[next_served_];
    next_served_ = (next_served_ + 1) % ranks_.size();
    if (!rank.dead) rank.stream->sockets().Serve();
  }
  next_serve_ = clock_->Monotonic() + kServeInterval;
}

}  // namespace kvroute
