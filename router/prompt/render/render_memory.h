#ifndef KVROUTE_ROUTER_PROMPT_RENDER_RENDER_MEMORY_H_
#define KVROUTE_ROUTER_PROMPT_RENDER_RENDER_MEMORY_H_

#include <cstdint>
#include <list>
#include <memory>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "indexer/base/clock.h"
#include "indexer/base/mutex.h"
#include "router/prompt/renderer.h"

namespace kvroute {

// Which rendered prompt: the API, the model, and every byte of the body.
struct RenderKey {
  uint64_t high = 0;
  uint64_t low = 0;

  bool operator==(const RenderKey&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const RenderKey& key) {
    return H::combine(std::move(state), key.high, key.low);
  }
};

struct RenderMemoryStats {
  uint64_t found = 0;
  uint64_t not_found = 0;
  uint64_t checks = 0;       // answers from memory that the renderer was asked for as well
  uint64_t differences = 0;  // of them, those it gave other tokens for: expected to be 0
  bool is_off = false;       // because there was one
  size_t bytes = 0;
  size_t entries = 0;
};

// What bodies were rendered to: the same body, byte by byte, has the same tokens. No more than that
// is exact (docs/decisions/0033). Bounded by bytes, the least recently used goes first; an entry is
// used for a minute, as a chat template may print the date.
//
// Thread safety: every method from any thread.
class RenderMemory {
 public:
  static constexpr Nanos kGoodFor = std::chrono::seconds(60);
  static constexpr uint64_t kCheckEvery = 64;  // answers

  RenderMemory(size_t max_bytes, uint64_t seed) : max_bytes_(max_bytes), seed_(seed) {}

  RenderKey KeyOf(Api api, std::string_view model, std::string_view body) const;

  struct Found {
    std::shared_ptr<const RenderedPrompt> prompt = {};  // nullptr: none
    bool check = false;  // the renderer is to be asked as well, and Compare told
  };
  Found Find(const RenderKey& key, Nanos now);
  void Put(const RenderKey& key, const RenderedPrompt& prompt, Nanos now);
  // What the renderer says of a body whose answer was from memory. False, and nothing is remembered
  // any more: it was another one.
  bool Compare(const RenderKey& key, const RenderedPrompt& prompt);
  // The renderers have changed.
  void Forget();

  RenderMemoryStats Stats() const;

 private:
  struct Entry {
    RenderKey key;
    std::shared_ptr<const RenderedPrompt> prompt;
    Nanos rendered_at{0};
    size_t bytes = 0;
  };
  using Entries = std::list<Entry>;  // the most recently used first

  void Erase(Entries::iterator entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Clear() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_bytes_;
  const uint64_t seed_;
  mutable Mutex mutex_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<RenderKey, Entries::iterator> by_key_ ABSL_GUARDED_BY(mutex_);
  RenderMemoryStats stats_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_RENDER_RENDER_MEMORY_H_
