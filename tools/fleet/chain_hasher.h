#ifndef KVROUTE_TOOLS_FLEET_CHAIN_HASHER_H_
#define KVROUTE_TOOLS_FLEET_CHAIN_HASHER_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "indexer/event/block_hasher.h"
#include "indexer/event/event.h"

namespace kvroute {

// Hashes of a prompt's full blocks, as an engine of the given scheme computes them. Engines that
// publish nothing need no particular scheme: nullopt chains them with XXH3, which is ten times
// cheaper and as good to tell blocks apart.
//
// Thread safety: one thread at a time.
class ChainHasher {
 public:
  ChainHasher(std::optional<HashScheme> scheme, uint32_t block_size_tokens);

  // Appends the hashes of all full blocks of `tokens`, which start at the prompt's first token.
  void Hash(absl::Span<const TokenId> tokens, std::vector<Digest>* hashes,
            const HashNamespace& names = {});

 private:
  void HashCheaply(absl::Span<const TokenId> tokens, std::vector<Digest>* hashes,
                   const HashNamespace& names);

  const uint32_t block_size_tokens_;
  std::optional<BlockHasher> hasher_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_CHAIN_HASHER_H_
