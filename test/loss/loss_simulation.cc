#include "test/loss/loss_simulation.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "indexer/base/check.h"

namespace kvroute {
namespace {

constexpr uint32_t kBlockTokens = 4;
constexpr uint32_t kSystemPrompts = 16;
constexpr uint32_t kSystemBlocks = 16;
constexpr uint32_t kConversations = 400;
constexpr uint32_t kMaxTurnBlocks = 8;
constexpr uint32_t kMaxBlocks = 64;  // a conversation ends there
constexpr uint64_t kBurst = 50;

uint64_t Mix(uint64_t word) {
  word = (word ^ word >> 31) * 0x9e3779b97f4a7c15u;
  word = (word ^ word >> 29) * 0xbf58476d1ce4e5b9u;
  return word ^ word >> 32;
}

}  // namespace

// ---- the engine ----

LossyEngine::LossyEngine(const LossOptions& options, AfterLoss after_loss, uint64_t number,
                         const std::vector<LossBlock>* blocks, PrefixIndex* index)
    : options_(options),
      hash_seed_(options.same_hashes ? 0 : number + 1),
      prompt_blocks_(blocks),
      index_(index),
      random_(options.seed * 1'000 + number),
      pool_(options.pool_blocks, kBlockTokens, Announce::kEveryCopy, this) {
  status_.config.worker_id = "worker";
  status_.id = *index_->Open(CopyMode::kCounted);
  stream_options_.after_loss = after_loss;
  machine_ = std::make_unique<StreamMachine>(&status_, stream_options_, &decoder_, index_,
                                             &counters_, &clock_);
  machine_->OnConnected();
  due_ = static_cast<double>(random_() % 1'000) / 1'000;
}

Digest LossyEngine::DigestOf(uint32_t block) const {
  Digest digest{};
  for (size_t i = 0; i < digest.size(); i += 8) {
    const uint64_t word = Mix(Mix(hash_seed_ + 1) ^ (uint64_t{block} << 8 | i));
    for (size_t j = 0; j < 8; ++j) digest[i + j] = static_cast<uint8_t>(word >> 8 * j);
  }
  return digest;
}

// As vLLM publishes it: the last 8 bytes.
EngineHash LossyEngine::EngineHashOf(const Digest& digest) {
  uint64_t hash = 0;
  for (size_t i = digest.size() - 8; i < digest.size(); ++i) hash = hash << 8 | digest[i];
  return EngineHash(hash);
}

uint32_t LossyEngine::CountResident(const LossPrompt& prompt) const {
  uint32_t count = 0;
  for (; count < prompt.size(); ++count) {
    const Digest digest = DigestOf(prompt[count]);
    if (pool_.CountResident({&digest, 1}) == 0) break;
  }
  return count;
}

// As vLLM does: the last block is computed in any case, and is then another copy.
void LossyEngine::Serve(const LossPrompt& prompt) {
  std::vector<Digest> chain;
  std::vector<TokenId> tokens;
  for (const uint32_t block : prompt) {
    chain.push_back(DigestOf(block));
    block_of_[EngineHashOf(chain.back()).value()] = block;
    const std::vector<TokenId>& own = (*prompt_blocks_)[block].tokens;
    tokens.insert(tokens.end(), own.begin(), own.end());
  }
  const auto size = static_cast<uint32_t>(chain.size());
  const uint32_t hits = std::min(pool_.CountResident(chain), size - 1);
  std::vector<BlockIndex> held;
  KVROUTE_CHECK(pool_.Acquire(absl::MakeSpan(chain).first(hits), size - hits, &held));
  pool_.Register(held, chain, tokens, hits, size);
  pool_.Release(held);
  std::string payload;
  encoder_.Finish(1e9, 0, &payload);
  const uint64_t seq = next_seq_++;
  if (!IsLost()) machine_->OnLiveBatch(seq, payload);
  index_->WaitForScrub();  // what a forgotten state leaves may be adopted, or just not any more
  removes_shared_ = false;
}

void LossyEngine::Stored(const Digest* parent, absl::Span<const Digest> hashes,
                         absl::Span<const TokenId> tokens, const HashNamespace&) {
  StoredBlocks stored;
  stored.hashes = hashes;
  stored.parent = parent;
  stored.token_ids = tokens;
  stored.block_size_tokens = kBlockTokens;
  encoder_.Stored(stored);
}

void LossyEngine::Removed(const Digest& hash) {
  RemovedBlocks removed;
  removed.hashes = {&hash, 1};
  encoder_.Removed(removed);
  removes_shared_ |= (*prompt_blocks_)[block_of_.at(EngineHashOf(hash).value())].shared;
}

bool LossyEngine::IsLost() {
  const auto chance = [this](double share) {
    return static_cast<double>(random_() >> 11) / static_cast<double>(uint64_t{1} << 53) < share;
  };
  switch (options_.kind) {
    case LossKind::kSingle:
      due_ += options_.lost;
      if (due_ < 1) return false;
      due_ -= 1;
      return true;
    case LossKind::kBursts:
      if (burst_left_ == 0 && chance(options_.lost / kBurst)) burst_left_ = kBurst;
      if (burst_left_ == 0) return false;
      --burst_left_;
      return true;
    case LossKind::kRemovals:
      return removes_shared_ && chance(options_.lost);
  }
  return false;
}

void LossyEngine::JudgeEnd(LossFigures* figures) {
  std::string payload;
  encoder_.Finish(1e9, 0, &payload);
  machine_->OnLiveBatch(next_seq_++, payload);
  for (const auto& [hash, block] : block_of_) {
    if (!index_->Holds(status_.id, EngineHash(hash))) continue;
    const Digest digest = DigestOf(block);
    if (pool_.CountResident({&digest, 1}) == 0) ++figures->wrong;
  }
  figures->holdings += status_.holdings.load();
  figures->unconfirmed += status_.unconfirmed_holdings.load();
  figures->doubtful += status_.doubtful_holdings.load();
  figures->lost += status_.lost_batches.load();
  figures->forgotten += counters_.losses[static_cast<size_t>(LossOutcome::kForgotten)].load();
}

// ---- what is asked ----

LossSimulation::LossSimulation(const LossOptions& options, AfterLoss after_loss)
    : options_(options), random_(options.seed) {
  for (uint32_t i = 0; i < kSystemPrompts; ++i) {
    Extend(&system_prompts_.emplace_back(), kSystemBlocks, /*shared=*/true);
  }
  conversations_.resize(kConversations);
  for (uint32_t i = 0; i < options.workers; ++i) {
    engines_.push_back(std::make_unique<LossyEngine>(options, after_loss, i, &blocks_, &index_));
  }
}

void LossSimulation::Extend(LossPrompt* prompt, uint32_t blocks, bool shared) {
  for (; blocks > 0; --blocks) {
    const auto number = static_cast<uint32_t>(blocks_.size());
    LossBlock block;
    block.shared = shared;
    for (uint32_t i = 0; i < kBlockTokens; ++i) block.tokens.push_back(number * kBlockTokens + i);
    const LocalHash local = HashBlock(block.tokens, MakeNamespaceSeed("", ""));
    block.prefix =
        prompt->empty() ? RootPrefix(local) : ChainPrefix(blocks_[prompt->back()].prefix, local);
    blocks_.push_back(std::move(block));
    prompt->push_back(number);
  }
}

// Some conversations are had more often than others, and so are system prompts.
LossPrompt& LossSimulation::NextTurn() {
  const auto often_low = [this](uint64_t count) {
    return static_cast<size_t>(std::min(random_() % count, random_() % count));
  };
  LossPrompt& conversation = conversations_[often_low(kConversations)];
  if (conversation.empty() || conversation.size() >= kMaxBlocks) {
    conversation = system_prompts_[often_low(kSystemPrompts)];
  }
  const bool again = random_() % 8 == 0;  // the same prompt as before
  if (!again) {
    Extend(&conversation, 1 + static_cast<uint32_t>(random_() % kMaxTurnBlocks), /*shared=*/false);
  }
  return conversation;
}

// And holds what was foreseen against what is there.
LossyEngine& LossSimulation::Choose(const LossPrompt& prompt) {
  std::vector<PrefixHash> prefixes;
  for (const uint32_t block : prompt) prefixes.push_back(blocks_[block].prefix);
  index_.Match(prefixes, &result_);
  std::vector<uint32_t> foreseen(engines_.size());
  for (size_t i = 0; i < engines_.size(); ++i) {
    for (const auto& match : result_.matches) {
      if (match.stream == engines_[i]->stream()) foreseen[i] = match.blocks;
    }
  }
  size_t chosen = random_() % engines_.size();
  if (random_() % 5 != 0) {
    for (size_t i = 0; i < engines_.size(); ++i) {
      if (foreseen[i] > foreseen[chosen]) chosen = i;
    }
  }
  const uint32_t there = engines_[chosen]->CountResident(prompt);
  figures_.hit_blocks += there;
  figures_.asked_blocks += prompt.size();
  figures_.found_blocks += std::min(foreseen[chosen], there);
  figures_.false_blocks += foreseen[chosen] - std::min(foreseen[chosen], there);
  return *engines_[chosen];
}

LossFigures LossSimulation::Run() {
  for (uint32_t i = 0; i < options_.requests; ++i) {
    const LossPrompt& prompt = NextTurn();
    Choose(prompt).Serve(prompt);
  }
  for (const auto& engine : engines_) engine->JudgeEnd(&figures_);
  return figures_;
}

// ---- the table ----

std::string LossTableMarkdown() {
  std::string out =
      "| batches lost | pool | **kept**: hits foreseen | in vain | hit rate | **kept, all hash "
      "alike**: hits foreseen | in vain | hit rate | **forgotten**: hits foreseen | in vain | hit "
      "rate | kept, at the end: held | wrong | probably wrong, as said | at most, as said |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
  const auto row = [&](std::string_view what, LossOptions options) {
    absl::StrAppendFormat(&out, "| %s | %d |", what, options.pool_blocks);
    const auto add = [&](const LossFigures& figures) {
      absl::StrAppendFormat(&out, " %.1f %% | %.2f %% | %.1f %% |", 100 * figures.FoundShare(),
                            100 * figures.FalseShare(), 100 * figures.HitShare());
    };
    const LossFigures kept = LossSimulation(options, AfterLoss::kKeep).Run();
    add(kept);
    options.same_hashes = true;
    add(LossSimulation(options, AfterLoss::kKeep).Run());
    options.same_hashes = false;
    add(LossSimulation(options, AfterLoss::kForget).Run());
    absl::StrAppendFormat(&out, " %d | %d | %d | %d |\n", kept.holdings, kept.wrong, kept.doubtful,
                          kept.unconfirmed);
  };
  constexpr std::array<uint32_t, 2> kPools = {1'000, 4'000};
  for (const double share : {0.0001, 0.001, 0.01, 0.1}) {
    for (const uint32_t pool : kPools) {
      row(absl::StrFormat("%g %%", 100 * share), {.kind = LossKind::kSingle,
                                                  .lost = share,
                                                  .pool_blocks = pool,
                                                  .requests = share < 0.001 ? 30'000u : 10'000u});
    }
  }
  for (const double share : {0.01, 0.1}) {
    for (const uint32_t pool : kPools) {
      row(absl::StrFormat("%g %%, 50 at a time", 100 * share),
          {.kind = LossKind::kBursts, .lost = share, .pool_blocks = pool});
    }
  }
  for (const uint32_t pool : kPools) {
    row("half of those that remove from a system prompt",
        {.kind = LossKind::kRemovals, .lost = 0.5, .pool_blocks = pool});
  }
  return out;
}

}  // namespace kvroute
