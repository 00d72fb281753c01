#include "test/benchmark/support/wire_events.h"

#include "indexer/event/block_hasher.h"
#include "indexer/event/event_encoder.h"
#include "tools/workload/random.h"

namespace kvroute {
namespace {

struct WireChain {
  std::vector<TokenId> tokens;
  std::vector<Digest> hashes;
};

WireChain MakeWireChain(SeededRandom* random, BlockHasher* hasher, size_t blocks) {
  WireChain chain;
  for (size_t i = 0; i < blocks; ++i) {
    for (uint32_t t = 0; t < WireEvents::kBlockTokens; ++t) {
      chain.tokens.push_back(static_cast<TokenId>(random->Below(128'000)));
    }
    const auto block = absl::MakeConstSpan(chain.tokens).subspan(i * WireEvents::kBlockTokens);
    chain.hashes.push_back(hasher->Hash(i == 0 ? nullptr : &chain.hashes[i - 1], block));
  }
  return chain;
}

}  // namespace

WireEvents::WireEvents(uint64_t seed, size_t blocks, size_t chains, size_t held) {
  SeededRandom random(seed);
  BlockHasher hasher(HashScheme::kVllmSha256Cbor);
  EventEncoder encoder(WireFormat{});
  std::vector<WireChain> made;
  for (size_t n = 0; n < chains; ++n) made.push_back(MakeWireChain(&random, &hasher, blocks));
  for (size_t n = 0; n < chains; ++n) {
    RemovedBlocks removed;
    removed.hashes = made[(n + chains - held) % chains].hashes;
    encoder.Removed(removed);
    encoder.Finish(1.0, 0, &payloads_.emplace_back());
    StoredBlocks stored;
    stored.hashes = made[n].hashes;
    stored.token_ids = made[n].tokens;
    stored.block_size_tokens = kBlockTokens;
    encoder.Stored(stored);
    encoder.Finish(1.0, 0, &payloads_.emplace_back());
  }
}

}  // namespace kvroute
