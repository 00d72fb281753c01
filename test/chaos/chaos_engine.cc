#include "test/chaos/chaos_engine.h"

#include <algorithm>
#include <utility>

#include "indexer/base/check.h"

namespace kvroute {

std::vector<TokenId> ChaosTokens(size_t chain, size_t count) {
  std::vector<TokenId> tokens;
  std::mt19937_64 common(chain / 2), own(1'000 + chain);
  const size_t shared = 48;
  for (size_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<TokenId>((i < shared ? common() : own()) % 100'000));
  return tokens;
}

ChaosEngine::ChaosEngine(ZmqContext* context, const ChaosEngineOptions& options,
                         ReferenceIndex* model)
    : options_(options), model_(model), random_(options.seed), encoder_(options.format) {
  auto sockets = ZmqPublisher::Create(context, options.sockets);
  KVROUTE_CHECK(sockets.ok());
  sockets_ = *std::move(sockets);
  BlockHasher hasher(HashSchemeOf(options_.format.style));
  const uint32_t size = options_.block_size_tokens;
  for (size_t chain = 0; chain < kChains; ++chain) {
    tokens_.push_back(ChaosTokens(chain, kMaxBlocks * size));
    std::vector<Digest>& hashes = hashes_.emplace_back();
    for (size_t block = 0; block < kMaxBlocks; ++block) {
      const auto tokens = absl::MakeConstSpan(tokens_[chain]).subspan(block * size, size);
      hashes.push_back(hasher.Hash(block == 0 ? nullptr : &hashes[block - 1], tokens));
    }
  }
  copies_.assign(kChains, std::vector<int>(kMaxBlocks, 0));
  model_->Open(options_.model_stream, EngineKindOf(options_.format.style) == EngineKind::kSglang
                                          ? CopyMode::kSet
                                          : CopyMode::kCounted);
}

// The handle that events carry.
EngineHash ChaosEngine::Published(const Digest& digest) const {
  return EngineHash(options_.format.style == WireStyle::kSglangMap
                        ? static_cast<uint64_t>(SglangEventHash(digest))
                        : VllmEventHash(digest));
}

// A full chain takes nothing and an empty one gives nothing: tried until something has changed, so
// that a test knows that a batch follows the one it loses.
void ChaosEngine::Step() {
  for (uint64_t changes = 1 + random_() % 3; changes > 0; --changes) Change();
  while (encoder_.event_count() == 0) Change();
  PublishStep();
}

void ChaosEngine::Change() {
  const uint64_t dice = random_() % 100;
  if (dice < 65) {
    StoreSome();
  } else if (dice < 99 || !options_.random_clears) {
    RemoveOne();
  } else {
    Clear();
  }
}

void ChaosEngine::PublishStep() {
  // As a real clock does: no two batches of an engine have the same bytes, in any of its lives.
  ts_seconds_ += 0.01;
  encoder_.Finish(ts_seconds_, 0, &payload_);
  sockets_->Publish(payload_);
}

// Continues a chain behind its first hole, or stores held blocks of it once more.
void ChaosEngine::StoreSome() {
  const size_t chain = random_() % kChains;
  const std::vector<int>& copies = copies_[chain];
  const size_t held =
      static_cast<size_t>(std::find(copies.begin(), copies.end(), 0) - copies.begin());
  const bool duplicate =
      held > 0 && options_.format.style != WireStyle::kSglangMap && random_() % 8 == 0;
  const size_t first = duplicate ? random_() % held : held;
  const size_t limit = duplicate ? held : kMaxBlocks;
  size_t end = std::min(limit, first + 1 + random_() % 6);
  if (!duplicate) {  // up to what is held behind the hole
    end = std::min(end,
                   static_cast<size_t>(std::find_if(copies.begin() + static_cast<ptrdiff_t>(first),
                                                    copies.end(), [](int n) { return n > 0; }) -
                                       copies.begin()));
  }
  if (first < end) StoreRange(chain, first, end);
}

// Chains that share their first blocks share the hashes too: one block, held once however many
// chains it is in.
void ChaosEngine::StoreRange(size_t chain, size_t first, size_t end) {
  const uint32_t size = options_.block_size_tokens;
  const NamespaceSeed seed = MakeNamespaceSeed("", "");
  std::vector<EngineHash> engine_hashes;
  std::vector<LocalHash> locals;
  for (size_t block = first; block < end; ++block) {
    engine_hashes.push_back(Published(hashes_[chain][block]));
    locals.push_back(
        HashBlock(absl::MakeConstSpan(tokens_[chain]).subspan(block * size, size), seed));
    for (size_t other = 0; other < kChains; ++other) {
      if (hashes_[other][block] == hashes_[chain][block]) ++copies_[other][block];
    }
  }
  StoreRequest truth;
  if (first > 0) truth.parent = Published(hashes_[chain][first - 1]);
  truth.engine_hashes = engine_hashes;
  truth.local_hashes = locals;
  KVROUTE_CHECK(model_->Store(options_.model_stream, truth).status == StoreStatus::kStored);

  StoredBlocks blocks;
  blocks.hashes = absl::MakeConstSpan(hashes_[chain]).subspan(first, end - first);
  blocks.parent = first == 0 ? nullptr : &hashes_[chain][first - 1];
  blocks.token_ids =
      absl::MakeConstSpan(tokens_[chain]).subspan(first * size, (end - first) * size);
  blocks.block_size_tokens = size;
  encoder_.Stored(blocks);
}

// Mostly the last held block of a chain, sometimes one in its middle.
void ChaosEngine::RemoveOne() {
  const size_t chain = random_() % kChains;
  std::vector<size_t> held;
  for (size_t block = 0; block < kMaxBlocks; ++block) {
    if (copies_[chain][block] > 0) held.push_back(block);
  }
  if (held.empty()) return;
  const size_t block = random_() % 5 == 0 ? held[random_() % held.size()] : held.back();
  const Digest& hash = hashes_[chain][block];
  for (size_t other = 0; other < kChains; ++other) {
    if (hashes_[other][block] == hash) --copies_[other][block];
  }
  const EngineHash engine_hash = Published(hash);
  model_->Remove(options_.model_stream, {&engine_hash, 1}, Tier::kGpu);
  encoder_.Removed({.hashes = {&hash, 1}});
}

void ChaosEngine::Clear() {
  for (std::vector<int>& chain : copies_) std::fill(chain.begin(), chain.end(), 0);
  model_->Clear(options_.model_stream);
  encoder_.Cleared();
  PublishStep();
}

void ChaosEngine::Restart(bool keep_connections) {
  for (std::vector<int>& chain : copies_) std::fill(chain.begin(), chain.end(), 0);
  model_->Clear(options_.model_stream);
  if (keep_connections) {
    sockets_->RestartNumbers();
  } else {
    KVROUTE_CHECK(sockets_->Restart().ok());
  }
}

}  // namespace kvroute
