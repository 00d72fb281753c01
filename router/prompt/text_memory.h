#ifndef KVROUTE_ROUTER_PROMPT_TEXT_MEMORY_H_
#define KVROUTE_ROUTER_PROMPT_TEXT_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "indexer/base/limits.h"
#include "indexer/base/mutex.h"
#include "indexer/base/strong_int.h"
#include "router/prompt/request_body.h"

namespace kvroute {

// Hash of a prompt's text from its beginning to the end of some piece of it.
using TextHash = StrongInt<struct TextHashTag, uint64_t>;

// The text of a prompt in pieces, each hashed together with all before it: two prompts that begin
// alike have chains that do. What comes before the messages (model, salt, tools, system text, chat
// template) is in every hash.
struct TextChain {
  static constexpr size_t kPieceBytes = 1'024;

  std::vector<TextHash> hashes;

  bool empty() const { return hashes.empty(); }
};

// Makes the chain of a body that needs_render(); empty for a prompt of less than a piece, or of
// several. Only whole pieces count, so that what a conversation adds comes behind them.
void MakeTextChain(const RequestBody& body, TextChain* chain);

// Where the prompts went that began with a text: all that is known of one without its tokens. It
// says nothing of what an engine still holds; what comes of it is a guess and said to be one.
// Bounded (kMaxTextChunks pieces of 16 bytes each); of the eight places that a hash may take, the
// one used longest ago gives way.
//
// Thread safety: every method from any thread.
class TextMemory {
 public:
  // A place is a number of its user's own, a stream's for instance.
  struct Found {
    uint32_t place = 0;
    uint32_t pieces = 0;  // of the text, from its beginning, that went there
  };
  static constexpr size_t kMaxFound = 8;

  explicit TextMemory(size_t max_pieces = limits::kMaxTextChunks);

  // The text went to a place.
  void Record(const TextChain& chain, uint32_t place);
  // Where its longest beginnings went, longest first; at most kMaxFound.
  void Find(const TextChain& chain, std::vector<Found>* found);

  struct Stats {
    uint64_t recorded = 0;  // texts
    uint64_t looked_up = 0;
    uint64_t found = 0;      // of them, those of which some beginning was known
    uint64_t forgotten = 0;  // pieces that gave way to others
  };
  Stats GetStats() const;
  size_t Bytes() const;

 private:
  static constexpr size_t kWays = 8;

  struct Slot {
    TextHash hash;  // 0: empty
    uint32_t place = 0;
    uint32_t used = 0;  // number of the text that used it last
  };

  absl::Span<Slot> SetOf(TextHash hash) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RecordPiece(TextHash hash, uint32_t place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t sets_;  // a power of two
  mutable Mutex mutex_;
  std::vector<Slot> slots_ ABSL_GUARDED_BY(mutex_);  // kept empty until the first text
  uint32_t texts_ ABSL_GUARDED_BY(mutex_) = 0;
  Stats stats_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_TEXT_MEMORY_H_
