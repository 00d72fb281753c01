#ifndef KVROUTE_INDEXER_STREAM_KEYED_TOKENS_H_
#define KVROUTE_INDEXER_STREAM_KEYED_TOKENS_H_

#include <cstdint>
#include <vector>

#include "indexer/stream/block_contents.h"

namespace kvroute {

// Remembers the tokens of one stream's blocks that are told apart by more than their tokens: those
// of salted prompts, and those with an image. Who stores a block and says nothing but its tokens
// may mean one of these only where it has the tokens of one.
//
// A Bloom filter: it never forgets one, and the more it has seen the more often it takes other
// tokens for those of one.
//
// Thread safety: one thread at a time. Memory: none before the first, then kMaxKeyedTokensBytes.
class KeyedTokens {
 public:
  // The blocks of `contents` that have keys: all of them when `salted`.
  void Add(const BlockContents& contents, bool salted) {
    if (salted || !contents.mix_ends.empty()) AddKeyed(contents, salted);
  }
  // Whether a block of `contents` has the tokens of one that has keys.
  bool MayHave(const BlockContents& contents) const;
  void Clear() { bits_ = {}; }

 private:
  void AddKeyed(const BlockContents& contents, bool salted);

  std::vector<uint64_t> bits_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_KEYED_TOKENS_H_
