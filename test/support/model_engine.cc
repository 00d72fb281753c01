#include "test/support/model_engine.h"

#include <algorithm>
#include <iterator>

namespace kvroute {

ModelEngine::ModelEngine(uint64_t seed)
    : random_(seed),
      hasher_(HashScheme::kVllmSha256Cbor),
      encoder_(
          WireFormat{.style = seed % 2 == 0 ? WireStyle::kVllmMap : WireStyle::kVllmPositional}) {
  history_.push_back({});
}

uint32_t ModelEngine::Child(int64_t parent) {
  const int branch = static_cast<int>(random_() % 3);
  const auto [it, is_new] = children_.try_emplace({parent, branch}, nodes());
  if (!is_new) return it->second;
  Node node{parent, {}, {}, {}};
  for (uint32_t i = 0; i < kBlockTokens; ++i) {
    node.tokens.push_back(static_cast<TokenId>(branch * 1000) + i);
  }
  const Digest* const parent_digest =
      parent < 0 ? nullptr : &nodes_[static_cast<size_t>(parent)].digest;
  node.digest = hasher_.Hash(parent_digest, node.tokens);
  const LocalHash local = HashBlock(node.tokens, MakeNamespaceSeed("", ""));
  node.prefix = parent < 0 ? RootPrefix(local)
                           : ChainPrefix(nodes_[static_cast<size_t>(parent)].prefix, local);
  nodes_.push_back(std::move(node));
  return it->second;
}

// A prompt walks down the tree; what is not held of it is stored in one event, now and then its
// last block a second time.
void ModelEngine::StoreSomething() {
  int64_t at = -1;
  const int depth = 1 + static_cast<int>(random_() % 8);
  std::vector<uint32_t> missing;
  for (int i = 0; i < depth; ++i) {
    const uint32_t child = Child(at);
    const bool copy = i + 1 == depth && random_() % 8 == 0;
    if (!missing.empty() || !held_.contains(child) || copy) missing.push_back(child);
    at = child;
  }
  if (missing.empty()) return;
  std::vector<Digest> hashes;
  std::vector<TokenId> tokens;
  for (const uint32_t node : missing) {
    hashes.push_back(nodes_[node].digest);
    tokens.insert(tokens.end(), nodes_[node].tokens.begin(), nodes_[node].tokens.end());
    ++held_[node];
  }
  const int64_t parent = nodes_[missing.front()].parent;
  StoredBlocks stored;
  stored.hashes = hashes;
  stored.parent = parent < 0 ? nullptr : &nodes_[static_cast<size_t>(parent)].digest;
  stored.token_ids = tokens;
  stored.block_size_tokens = kBlockTokens;
  encoder_.Stored(stored);
}

// Any block, so that there are holes.
void ModelEngine::RemoveSomething() {
  if (held_.empty()) return;
  auto victim = held_.begin();
  std::advance(victim, static_cast<int64_t>(random_() % held_.size()));
  RemovedBlocks removed;
  removed.hashes = {&nodes_[victim->first].digest, 1};
  encoder_.Removed(removed);
  if (--victim->second == 0) held_.erase(victim);
}

std::string ModelEngine::Step() {
  StoreAndRemove();
  if (random_() % 50 == 0) return Clear();
  return Finish(/*cleared=*/false);
}

std::string ModelEngine::StepWithoutClear() {
  StoreAndRemove();
  return Finish(/*cleared=*/false);
}

void ModelEngine::StoreAndRemove() {
  const int events = 1 + static_cast<int>(random_() % 4);
  for (int i = 0; i < events; ++i) {
    if (random_() % 3 == 0) {
      RemoveSomething();
    } else {
      StoreSomething();
    }
  }
}

std::string ModelEngine::Clear() {
  held_.clear();
  encoder_.Cleared();
  return Finish(/*cleared=*/true);
}

// The time stamp makes equal batches of two lives differ, as an engine's clock does.
std::string ModelEngine::Finish(bool cleared) {
  std::string payload;
  encoder_.Finish(static_cast<double>(random_() % 1'000'000'000), 0, &payload);
  history_.push_back(held_);
  cleared_.push_back(cleared);
  return payload;
}

void ModelEngine::Restart() {
  held_.clear();
  history_.assign(1, {});
  cleared_.clear();
}

std::vector<uint32_t> ModelEngine::PathOf(uint32_t node) const {
  std::vector<uint32_t> path;
  for (int64_t at = node; at >= 0; at = nodes_[static_cast<size_t>(at)].parent) {
    path.push_back(static_cast<uint32_t>(at));
  }
  std::reverse(path.begin(), path.end());
  return path;
}

uint32_t ModelEngine::HeldAt(uint64_t seq, uint32_t node) const {
  const Copies& held = history_[seq];
  uint32_t blocks = 0;
  for (const uint32_t at : PathOf(node)) {
    if (!held.contains(at)) break;
    ++blocks;
  }
  return blocks;
}

// As vLLM publishes it: the last 8 bytes.
EngineHash ModelEngine::EngineHashOf(uint32_t node) const {
  const Digest& digest = nodes_[node].digest;
  uint64_t hash = 0;
  for (size_t i = digest.size() - 8; i < digest.size(); ++i) hash = hash << 8 | digest[i];
  return EngineHash(hash);
}

std::vector<PrefixHash> ModelEngine::PromptOf(uint32_t node) const {
  std::vector<PrefixHash> prompt;
  for (const uint32_t at : PathOf(node)) prompt.push_back(nodes_[at].prefix);
  return prompt;
}

}  // namespace kvroute
