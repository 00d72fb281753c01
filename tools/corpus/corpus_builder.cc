#include "tools/corpus/corpus_builder.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "indexer/base/check.h"

namespace kvroute {

CorpusBuilder::CorpusBuilder(const CorpusOptions& options, CorpusWriter* writer)
    : options_(options),
      writer_(writer),
      random_(options.seed),
      placement_(options.placement, options.workers, options.seed),
      workers_(options.workers, Worker(options)) {
  KVROUTE_CHECK(options.block_size_tokens <= kTraceBlockTokens);
}

CorpusBuilder::Worker::Worker(const CorpusOptions& options) : pool(options.blocks_per_worker) {
  if (options.cpu_blocks_per_worker > 0) slower.emplace(Tier::kCpu, options.cpu_blocks_per_worker);
  if (options.disk_blocks_per_worker > 0) {
    slower.emplace(Tier::kDisk, options.disk_blocks_per_worker);
  }
}

void CorpusBuilder::Worker::Clear() {
  ++life;
  pool.Clear();
  for (auto& [tier, slower_pool] : slower) slower_pool.Clear();
}

void CorpusBuilder::Play(absl::Span<const TraceRequest> trace,
                         const std::function<void(size_t)>& progress) {
  for (const TraceRequest& request : trace) {
    for (const TraceBlockId id : request.hash_ids) {
      ids_per_copy_ = std::max(ids_per_copy_, id.value() + 1);
    }
  }
  const auto since_start = [&](const TraceRequest& request) {
    return static_cast<uint64_t>(request.timestamp_ms - trace.front().timestamp_ms);
  };
  span_ms_ = trace.empty() ? 1 : std::max<uint64_t>(1, since_start(trace.back()));
  for (size_t first = 0; first < trace.size();) {
    size_t end = first + 1;
    while (end < trace.size() && trace[end].timestamp_ms == trace[first].timestamp_ms) ++end;
    const uint64_t now_ms = since_start(trace[first]);
    PlaySteps(now_ms);
    PlayMoment(trace.subspan(first, end - first), now_ms);
    first = end;
    progress(first);
  }
}

uint64_t CorpusBuilder::DeadlineOf(uint64_t ms) const {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(ms) * options_.window_ns / span_ms_);
}

CorpusHeader CorpusBuilder::Header(std::string trace_path) const {
  CorpusHeader header;
  header.block_size_tokens = options_.block_size_tokens;
  header.reference_window_ns = options_.window_ns;
  header.trace_duplication_factor = options_.duplication;
  header.trace_length_factor = options_.length_factor;
  header.logical_workers = options_.workers;
  header.trace_path = std::move(trace_path);
  return header;
}

void CorpusBuilder::PlaySteps(uint64_t until_ms) {
  while (!under_way_.empty() && under_way_.begin()->first.first <= until_ms) {
    auto next = under_way_.extract(under_way_.begin());
    const uint64_t now_ms = next.key().first;
    Running& running = next.mapped();
    if (running.life != workers_[running.request.worker].life || !Step(&running, now_ms)) continue;
    next.key() = {DueAfter(running, now_ms), ++steps_};
    under_way_.insert(std::move(next));
  }
}

void CorpusBuilder::PlayMoment(absl::Span<const TraceRequest> requests, uint64_t now_ms) {
  moment_.clear();
  for (uint32_t copy = 0; copy < options_.duplication; ++copy) {
    for (const TraceRequest& request : requests) {
      Request expanded = Expand(request, copy);
      if (expanded.chain.empty()) continue;
      expanded.worker = placement_.Choose(expanded.chain);
      moment_.push_back(std::move(expanded));
    }
  }
  std::stable_sort(moment_.begin(), moment_.end(),
                   [](const Request& a, const Request& b) { return a.worker < b.worker; });
  for (const Request& request : moment_) {
    CorpusOperation op;
    op.deadline_ns = DeadlineOf(now_ms);
    op.worker_id = request.worker;
    writer_->AddQuery(op, request.locals);
  }
  for (Request& request : moment_) Serve(std::move(request), now_ms);
}

CorpusBuilder::Request CorpusBuilder::Expand(const TraceRequest& request, uint32_t copy) const {
  Request expanded;
  std::vector<TokenId> tokens(options_.block_size_tokens);
  for (const TraceBlockId id : request.hash_ids) {
    const uint64_t first = (id.value() + copy * ids_per_copy_) * options_.length_factor;
    for (uint64_t block = first; block < first + options_.length_factor; ++block) {
      for (uint32_t i = 0; i < tokens.size(); ++i) tokens[i] = TraceToken(TraceBlockId(block), i);
      expanded.locals.push_back(HashBlock(tokens, MakeNamespaceSeed("", "")));
    }
  }
  ChainLocals(expanded.locals, &expanded.chain);
  if (options_.store_blocks > 0) {
    expanded.decoded_blocks =
        uint64_t{request.output_length} * options_.length_factor / kTraceBlockTokens;
  }
  return expanded;
}

void CorpusBuilder::Serve(Request request, uint64_t now_ms) {
  Worker& worker = workers_[request.worker];
  CorpusOperation op;
  op.deadline_ns = DeadlineOf(now_ms);
  op.worker_id = request.worker;
  const bool restarts = Chance(options_.restarts);
  if (restarts) worker.next_event_id = 0;
  if (restarts || Chance(options_.clears)) {
    worker.Clear();
    EmitCleared(&worker, op);
  }

  const size_t most = std::min<size_t>(request.chain.size(), options_.blocks_per_worker);
  size_t reuse = std::min(worker.pool.Hits(request.chain), most);
  if (reuse > 0 && Chance(options_.duplicates)) {
    reuse -= 1 + random_.Below(std::min<size_t>(reuse, 4));
  }
  placement_.Served(request.worker, request.chain, most - reuse);
  Running running;
  running.prompt_blocks = request.chain.size();
  running.life = worker.life;
  running.use = worker.pool.Begin(absl::MakeConstSpan(request.chain).subspan(0, reuse));
  running.done = reuse;
  running.request = std::move(request);
  const bool decodes = reuse == running.prompt_blocks && running.request.decoded_blocks > 0;
  if (!decodes && !Step(&running, now_ms)) return;
  const uint64_t due = DueAfter(running, now_ms);
  under_way_.try_emplace({due, ++steps_}, std::move(running));
}

uint64_t CorpusBuilder::DueAfter(const Running& running, uint64_t now_ms) const {
  if (running.done < running.prompt_blocks) return now_ms + options_.step_ms;
  const uint64_t tokens = std::max(1u, kTraceBlockTokens / options_.length_factor);
  return now_ms + tokens * options_.token_ms;
}

bool CorpusBuilder::Step(Running* running, uint64_t now_ms) {
  Request& request = running->request;
  Worker& worker = workers_[request.worker];
  CorpusOperation op;
  op.deadline_ns = DeadlineOf(now_ms);
  op.worker_id = request.worker;
  const size_t first = running->done;
  size_t end = running->prompt_blocks;
  if (first == end && request.decoded_blocks > 0) {
    Decode(&request);
    ++end;
    ++running->prompt_blocks;
  } else if (options_.store_blocks > 0) {
    end = std::min<size_t>(end, first + options_.store_blocks);
  }
  evicted_.clear();
  size_t done = first;
  while (done < end && worker.pool.Compute(request.chain[done], &running->use, &evicted_)) ++done;
  running->done = done;
  if (!worker.slower.empty()) {
    for (size_t i = first; i < done; ++i) {
      Block& block = blocks_[request.chain[i]];
      block.local = request.locals[i];
      if (i > 0) block.parent = request.chain[i - 1];
    }
    if (!evicted_.empty()) Offload(&worker, op, worker.slower.begin()->first, evicted_);
  }
  if (!evicted_.empty()) EmitRemoved(&worker, op, evicted_);
  if (done > first) EmitStored(&worker, op, request, first, done);
  if (done == end && (end < running->prompt_blocks || request.decoded_blocks > 0)) return true;

  worker.pool.End(running->use);
  if (done > 1 && Chance(options_.holes)) {
    const PrefixHash hole = request.chain[random_.Below(done - 1)];
    if (worker.pool.Drop(hole)) EmitRemoved(&worker, op, {hole});
  }
  return false;
}

void CorpusBuilder::Decode(Request* request) {
  --request->decoded_blocks;
  const LocalHash local(MixBits(++decoded_ ^ MixBits(options_.seed)));
  const PrefixHash last = request->chain.back();
  request->locals.push_back(local);
  request->chain.push_back(ChainPrefix(last, local));
}

void CorpusBuilder::Offload(Worker* worker, CorpusOperation op, Tier tier,
                            absl::Span<const PrefixHash> blocks) {
  op.tier = tier;
  const auto pool = worker->slower.find(tier);
  std::vector<PrefixHash> fresh;
  std::vector<PrefixHash> evicted;
  for (const PrefixHash block : blocks) {
    const size_t hits = pool->second.Hits({&block, 1});
    if (hits == 0) fresh.push_back(block);
    pool->second.Run({&block, 1}, hits, &evicted);
  }
  if (!fresh.empty()) EmitCopies(worker, op, fresh);
  if (evicted.empty()) return;
  if (const auto next = std::next(pool); next != worker->slower.end()) {
    Offload(worker, op, next->first, evicted);
  }
  EmitRemoved(worker, op, evicted);
}

void CorpusBuilder::EmitCopies(Worker* worker, CorpusOperation op,
                               absl::Span<const PrefixHash> blocks) {
  std::vector<LocalHash> locals;
  for (size_t end = blocks.size(); end > 0;) {  // parents first
    locals.clear();
    engine_hashes_.clear();
    const std::optional<PrefixHash> parent = blocks_.at(blocks[end - 1]).parent;
    do {
      --end;
      locals.push_back(blocks_.at(blocks[end]).local);
      engine_hashes_.push_back(ToEngine(op.worker_id, blocks[end]));
    } while (end > 0 && blocks_.at(blocks[end - 1]).parent == blocks[end]);
    op.event_id = worker->next_event_id++;
    op.has_parent = parent.has_value();
    op.parent = parent.has_value() ? ToEngine(op.worker_id, *parent) : EngineHash();
    writer_->AddStored(op, engine_hashes_, locals);
  }
}

void CorpusBuilder::EmitCleared(Worker* worker, CorpusOperation op) {
  op.event_id = worker->next_event_id++;
  writer_->AddCleared(op);
}

void CorpusBuilder::EmitRemoved(Worker* worker, CorpusOperation op,
                                absl::Span<const PrefixHash> blocks) {
  op.event_id = worker->next_event_id++;
  ToEngine(op.worker_id, blocks);
  writer_->AddRemoved(op, engine_hashes_);
}

void CorpusBuilder::EmitStored(Worker* worker, CorpusOperation op, const Request& request,
                               size_t first, size_t end) {
  op.event_id = worker->next_event_id++;
  op.has_parent = first > 0;
  if (first > 0) op.parent = ToEngine(op.worker_id, request.chain[first - 1]);
  op.has_start_position = true;
  op.start_position = static_cast<uint32_t>(first);
  ToEngine(op.worker_id, absl::MakeConstSpan(request.chain).subspan(first, end - first));
  writer_->AddStored(op, engine_hashes_,
                     absl::MakeConstSpan(request.locals).subspan(first, end - first));
}

EngineHash CorpusBuilder::ToEngine(uint64_t worker, PrefixHash block) const {
  if (options_.hash_scheme == CorpusHashScheme::kPrefix) return EngineHash(block.value());
  return EngineHash(MixBits(block.value() ^ MixBits(worker)));
}

void CorpusBuilder::ToEngine(uint64_t worker, absl::Span<const PrefixHash> blocks) {
  engine_hashes_.clear();
  for (const PrefixHash block : blocks) engine_hashes_.push_back(ToEngine(worker, block));
}

}  // namespace kvroute
