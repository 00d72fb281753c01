#include "router/load/in_flight_prompts.h"

#include <algorithm>

namespace kvroute {
namespace {

// By place, in order.
template <typename Holder>
auto PositionOf(std::vector<Holder>& holders, uint32_t place) {
  return std::lower_bound(holders.begin(), holders.end(), place,
                          [](const Holder& holder, uint32_t at) { return holder.place < at; });
}

}  // namespace

InFlightPrompts::Ticket InFlightPrompts::Begin(const PromptPieces& prompt, uint32_t place) {
  if (prompt.size() == 0) return 0;
  if (pieces_.fetch_add(prompt.size(), std::memory_order_relaxed) + prompt.size() > max_pieces_) {
    pieces_.fetch_sub(prompt.size(), std::memory_order_relaxed);
    not_remembered_.fetch_add(1, std::memory_order_relaxed);
    return 0;
  }
  begun_.fetch_add(1, std::memory_order_relaxed);
  prompts_.fetch_add(1, std::memory_order_relaxed);
  const size_t number = ShardOf(prompt);
  Shard& shard = shards_[number];
  MutexLock lock(&shard.mutex);
  if (shard.unused.empty()) {
    shard.unused.push_back(static_cast<uint32_t>(shard.prompts.size()));
    shard.prompts.emplace_back();
  }
  const uint32_t index = shard.unused.back();
  shard.unused.pop_back();
  shard.prompts[index].pieces = prompt.hashes;
  shard.prompts[index].place = place;
  for (const PieceHash piece : prompt.hashes) {
    std::vector<Holder>& holders = shard.holders[piece];
    const auto at = PositionOf(holders, place);
    if (at != holders.end() && at->place == place) {
      ++at->prompts;
    } else {
      holders.insert(at, {place, 1});
    }
  }
  return (uint64_t{index} + 1) * kShards + number;
}

void InFlightPrompts::End(Ticket ticket) {
  if (ticket == 0) return;
  Shard& shard = shards_[ticket % kShards];
  const auto index = static_cast<uint32_t>(ticket / kShards - 1);
  MutexLock lock(&shard.mutex);
  Prompt& prompt = shard.prompts[index];
  for (const PieceHash piece : prompt.pieces) {
    const auto it = shard.holders.find(piece);
    const auto at = PositionOf(it->second, prompt.place);
    if (--at->prompts == 0) it->second.erase(at);
    if (it->second.empty()) shard.holders.erase(it);
  }
  pieces_.fetch_sub(prompt.pieces.size(), std::memory_order_relaxed);
  prompts_.fetch_sub(1, std::memory_order_relaxed);
  prompt.pieces = {};
  shard.unused.push_back(index);
}

// Whoever will hold the prompt up to a piece will hold it up to the piece before, too: where they
// are as many, they are the same, and only the later piece says something.
void InFlightPrompts::Find(const PromptPieces& prompt, std::vector<Found>* found) const {
  found->clear();
  if (prompt.size() == 0 || prompts_.load(std::memory_order_relaxed) == 0) return;
  const Shard& shard = shards_[ShardOf(prompt)];
  MutexLock lock(&shard.mutex);
  const std::vector<Holder>* before = nullptr;
  for (size_t i = 0; i <= prompt.size(); ++i) {
    const auto it = i < prompt.size() ? shard.holders.find(prompt.hashes[i]) : shard.holders.end();
    const std::vector<Holder>* const here = it != shard.holders.end() ? &it->second : nullptr;
    if (before != nullptr && (here == nullptr || here->size() != before->size())) {
      for (const Holder& holder : *before) found->push_back({holder.place, prompt.ends[i - 1]});
    }
    if (here == nullptr) return;
    before = here;
  }
}

InFlightPrompts::Stats InFlightPrompts::GetStats() const {
  return {prompts_.load(std::memory_order_relaxed), pieces_.load(std::memory_order_relaxed),
          begun_.load(std::memory_order_relaxed), not_remembered_.load(std::memory_order_relaxed)};
}

}  // namespace kvroute
