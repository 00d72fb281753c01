#include "indexer/stream/chunks.h"

#include "indexer/index/prefix_hash.h"

namespace kvroute {
namespace {

constexpr uint64_t kPieceSalt = 0x7069'6563'6573'0000;  // so that no block's own local hash is near

uint8_t Bit(Tier tier) { return static_cast<uint8_t>(1u << static_cast<int>(tier)); }

}  // namespace

EngineHash Chunks::PieceOf(EngineHash chunk, uint32_t piece) {
  return EngineHash(ChainPrefix(PrefixHash(chunk.value()), LocalHash(kPieceSalt + piece)).value());
}

void Chunks::Append(EngineHash hash, const Chunk& chunk, std::vector<EngineHash>* hashes) {
  const uint32_t own = chunk.pieces - (chunk.ragged ? 0 : 1);
  for (uint32_t piece = 0; piece < own; ++piece) hashes->push_back(PieceOf(hash, piece));
  if (!chunk.ragged) hashes->push_back(hash);
}

void Chunks::Add(EngineHash hash, uint32_t pieces, bool ragged, Tier tier,
                 std::vector<EngineHash>* hashes) {
  Chunk& chunk = chunks_[hash];
  chunk.pieces = pieces;
  chunk.ragged = ragged;
  chunk.tiers |= Bit(tier);
  Append(hash, chunk, hashes);
}

void Chunks::Expand(EngineHash hash, Tier tier, std::vector<EngineHash>* hashes) const {
  const auto it = chunks_.find(hash);
  if (it == chunks_.end() || (it->second.tiers & Bit(tier)) == 0) {
    hashes->push_back(hash);
  } else {
    Append(hash, it->second, hashes);
  }
}

void Chunks::ExpandCopy(EngineHash hash, Tier tier, std::vector<EngineHash>* hashes) {
  const auto it = chunks_.find(hash);
  if (it == chunks_.end() || tier == Tier::kGpu) {
    hashes->push_back(hash);
    return;
  }
  it->second.tiers |= Bit(tier);
  Append(hash, it->second, hashes);
}

bool Chunks::IsRagged(EngineHash hash) const {
  const auto it = chunks_.find(hash);
  return it != chunks_.end() && it->second.ragged;
}

}  // namespace kvroute
