#include "tools/fleet/engine.h"

#include <algorithm>

#include "indexer/base/check.h"
#include "tools/fleet/block_key.h"

namespace kvroute {
namespace {

// Tokens that are known: the prompt and what has been generated so far.
template <typename Hash>
uint32_t KnownTokens(const BasicEngineRequest<Hash>& request) {
  return request.prompt_tokens + request.generated_tokens;
}

template <typename Hash>
void Rewind(BasicEngineRequest<Hash>* request) {
  request->computed_tokens = 0;
  request->scheduled_tokens = 0;
  request->registered_blocks = 0;
  request->blocks.clear();
}

}  // namespace

template <typename Hash>
BasicEngine<Hash>::BasicEngine(const EngineOptions& options, Announce announce, Events* events)
    : options_(options), announce_(announce), events_(events), pool_(NewPool()) {
  KVROUTE_CHECK(options.max_batch_requests > 0 && options.max_step_tokens > 0);
  KVROUTE_CHECK(options.prefill_tokens_per_second > 0);
}

template <typename Hash>
std::unique_ptr<BasicEnginePool<Hash>> BasicEngine<Hash>::NewPool() const {
  return std::make_unique<Pool>(options_.capacity_blocks, options_.block_size_tokens, announce_,
                                events_);
}

template <typename Hash>
void BasicEngine<Hash>::Submit(std::unique_ptr<Request> request) {
  KVROUTE_CHECK(request->prompt_tokens > 0 && request->prompt_tokens < request->TotalTokens());
  KVROUTE_CHECK(request->hashes.size() == request->TotalTokens() / options_.block_size_tokens);
  KVROUTE_CHECK(Fits(request->TotalTokens()));
  waiting_.push_back(std::move(request));
}

template <typename Hash>
std::optional<Nanos> BasicEngine<Hash>::StartStep() {
  KVROUTE_CHECK(!stepping());
  if (clear_pending_) {
    clear_pending_ = false;
    PreemptAll();
    pool_->Clear();
  }
  StepLoad load;
  const bool preempted = ScheduleRunning(&load);
  if (!preempted) ScheduleWaiting(&load);
  if (scheduled_.empty()) return std::nullopt;
  prefilled_tokens_ += load.prefill_tokens;
  return DurationOf(load);
}

template <typename Hash>
Nanos BasicEngine<Hash>::DurationOf(const StepLoad& load) const {
  const double prefill_ns = 1e9 * load.prefill_tokens / options_.prefill_tokens_per_second;
  const double attention_ns = options_.attention_ns_per_pair * load.attention_pairs +
                              options_.decode_ns_per_context_token * load.decode_context_tokens;
  return options_.step_overhead + Nanos(static_cast<int64_t>(prefill_ns)) +
         Nanos(static_cast<int64_t>(attention_ns)) +
         options_.decode_per_request * load.decoding_requests;
}

template <typename Hash>
void BasicEngine<Hash>::EndStep(std::vector<StepOutcome>* outcomes) {
  for (Request* request : scheduled_) {
    request->computed_tokens += request->scheduled_tokens;
    request->scheduled_tokens = 0;
    if (request->computed_tokens < KnownTokens(*request)) continue;  // more chunks to come
    ++request->generated_tokens;
    const bool finished = KnownTokens(*request) == request->TotalTokens();
    const bool first_token = request->generated_tokens == 1;
    if (first_token || finished || options_.every_token) {
      outcomes->push_back({.number = request->number,
                           .first_token = first_token,
                           .finished = finished,
                           .cached_tokens = *request->cached_tokens,
                           .generated_tokens = request->generated_tokens});
    }
    if (finished) pool_->Release(request->blocks);
  }
  scheduled_.clear();
  std::erase_if(running_, [](const auto& request) {
    return KnownTokens(*request) == request->TotalTokens();
  });
}

template <typename Hash>
bool BasicEngine<Hash>::Abort(uint64_t number) {
  const auto is_it = [number](const auto& request) { return request->number == number; };
  if (std::erase_if(waiting_, is_it) > 0) return true;
  const auto found = std::find_if(running_.begin(), running_.end(), is_it);
  if (found == running_.end()) return false;
  std::erase(scheduled_, found->get());
  pool_->Release((*found)->blocks);
  running_.erase(found);
  return true;
}

template <typename Hash>
bool BasicEngine<Hash>::ScheduleRunning(StepLoad* load) {
  bool preempted = false;
  for (size_t i = 0; i < running_.size() && load->tokens < options_.max_step_tokens; ++i) {
    Request* const request = running_[i].get();
    const uint32_t count = std::min(KnownTokens(*request) - request->computed_tokens,
                                    options_.max_step_tokens - load->tokens);
    bool allocated = Allocate(request, 0, count);
    while (!allocated &&
           running_.size() > i) {  // until there is room or the request itself had to go
      Preempt();
      preempted = true;
      if (running_.size() > i) allocated = Allocate(request, 0, count);
    }
    if (allocated) Schedule(request, count, load);
  }
  return preempted;
}

template <typename Hash>
void BasicEngine<Hash>::ScheduleWaiting(StepLoad* load) {
  while (!waiting_.empty() && running_.size() < options_.max_batch_requests &&
         load->tokens < options_.max_step_tokens) {
    Request* const request = waiting_.front().get();
    // At least the last token has to be computed, or there is nothing to sample from. Hits are
    // whole blocks: of a prompt that is cached to its end the last block is computed again, into a
    // second copy.
    const uint32_t known = KnownTokens(*request);
    const uint32_t most = (known - 1) / options_.block_size_tokens;
    const uint32_t hits = pool_->CountResident(absl::MakeConstSpan(request->hashes).first(most));
    const uint32_t cached = hits * options_.block_size_tokens;
    const uint32_t count = std::min(known - cached, options_.max_step_tokens - load->tokens);
    request->computed_tokens = cached;
    if (!Allocate(request, hits, count)) {
      request->computed_tokens = 0;
      return;
    }
    if (!request->cached_tokens.has_value()) request->cached_tokens = cached;
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    Schedule(request, count, load);
  }
}

template <typename Hash>
bool BasicEngine<Hash>::Allocate(Request* request, uint32_t cached_blocks, uint32_t count) {
  const uint32_t size = options_.block_size_tokens;
  const uint32_t tokens = request->computed_tokens + count;
  const uint32_t needed = (tokens + size - 1) / size;
  const auto held = static_cast<uint32_t>(request->blocks.size()) + cached_blocks;
  const uint32_t fresh = needed > held ? needed - held : 0;
  const auto hashes = absl::MakeConstSpan(request->hashes);
  if (!pool_->Acquire(hashes.first(cached_blocks), fresh, &request->blocks)) return false;
  if (cached_blocks > 0) request->registered_blocks = cached_blocks;
  const uint32_t full = tokens / size;
  if (full > request->registered_blocks) {
    pool_->Register(request->blocks, hashes, request->tokens, request->registered_blocks, full,
                    {.lora_name = request->lora_name, .cache_salt = request->cache_salt});
    request->registered_blocks = full;
  }
  return true;
}

template <typename Hash>
void BasicEngine<Hash>::Schedule(Request* request, uint32_t count, StepLoad* load) {
  const bool decoding = request->generated_tokens > 0 && count == 1;
  request->scheduled_tokens = count;
  load->tokens += count;
  if (decoding) {
    ++load->decoding_requests;
    load->decode_context_tokens += request->computed_tokens;
  } else {
    load->prefill_tokens += count;
    load->attention_pairs += count * (request->computed_tokens + count / 2.0);
  }
  scheduled_.push_back(request);
}

template <typename Hash>
void BasicEngine<Hash>::Preempt() {
  std::unique_ptr<Request> request = std::move(running_.back());
  running_.pop_back();
  pool_->Release(request->blocks);
  Rewind(request.get());
  waiting_.push_front(std::move(request));
  ++preemptions_;
}

template <typename Hash>
void BasicEngine<Hash>::PreemptAll() {
  while (!running_.empty()) Preempt();
}

template <typename Hash>
void BasicEngine<Hash>::Restart() {
  scheduled_.clear();
  while (!running_.empty()) {
    waiting_.push_front(std::move(running_.back()));
    running_.pop_back();
  }
  for (const auto& request : waiting_) {
    Rewind(request.get());
    request->generated_tokens = 0;
  }
  clear_pending_ = false;
  pool_ = NewPool();
}

template class BasicEngine<Digest>;
template class BasicEngine<BlockKey>;

}  // namespace kvroute
