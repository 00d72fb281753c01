#ifndef KVROUTE_INDEXER_STREAM_CHUNKS_H_
#define KVROUTE_INDEXER_STREAM_CHUNKS_H_

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "indexer/event/event.h"

namespace kvroute {

// The blocks of one stream that are as long as several of its own, as offload tiers store them. In
// the index such a chunk is its pieces: the last one under the engine hash of the chunk, which is
// that of the chain up to there, the others under hashes of our own. What a chunk has beyond its
// last full piece is left out; such a chunk ends in no block's place, so that nothing can follow
// it.
//
// Thread safety: one thread at a time. Memory: about 32 bytes a chunk of which a piece is held,
// or waits for its parent; it is the owner's to charge (HeapBytes).
class Chunks {
 public:
  // Appends the engine hashes of a chunk's pieces, in their order, and remembers it.
  void Add(EngineHash chunk, uint32_t pieces, bool ragged, Tier tier,
           std::vector<EngineHash>* hashes);
  // Appends the engine hash, or those of the pieces of the chunk that it was stored as in `tier`.
  void Expand(EngineHash hash, Tier tier, std::vector<EngineHash>* hashes) const;
  // The same for a further copy: of a chunk in whichever tier, which then is one in `tier`, too.
  void ExpandCopy(EngineHash hash, Tier tier, std::vector<EngineHash>* hashes);
  // Whether nothing can stand behind it.
  bool IsRagged(EngineHash hash) const;
  // Forgets those of which `held` says that it holds no piece, nor will when a parent comes.
  template <typename Held>
  void Forget(absl::Span<const EngineHash> hashes, Held held) {
    if (chunks_.empty()) return;
    for (const EngineHash hash : hashes) {
      const auto it = chunks_.find(hash);
      if (it != chunks_.end() && !AnyHeld(*it, held)) chunks_.erase(it);
    }
  }
  template <typename Held>
  void ForgetAll(Held held) {
    absl::erase_if(chunks_, [&](const auto& chunk) { return !AnyHeld(chunk, held); });
  }

  bool empty() const { return chunks_.empty(); }
  size_t size() const { return chunks_.size(); }
  uint64_t HeapBytes() const {
    return chunks_.capacity() * (sizeof(std::pair<const EngineHash, Chunk>) + 1);
  }
  void Clear() { decltype(chunks_)().swap(chunks_); }

 private:
  struct Chunk {
    uint32_t pieces = 0;
    uint8_t tiers = 0;    // bits
    bool ragged = false;  // the last piece does not end where the chunk does
  };
  static EngineHash PieceOf(EngineHash chunk, uint32_t piece);
  static void Append(EngineHash hash, const Chunk& chunk, std::vector<EngineHash>* hashes);

  template <typename Held>
  static bool AnyHeld(const std::pair<const EngineHash, Chunk>& chunk, Held held) {
    for (uint32_t piece = 0; piece < chunk.second.pieces; ++piece) {
      if (held(PieceOf(chunk.first, piece))) return true;
    }
    return false;
  }

  absl::flat_hash_map<EngineHash, Chunk> chunks_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_CHUNKS_H_
