#ifndef KVROUTE_TEST_SUPPORT_PUBLISHED_STREAM_H_
#define KVROUTE_TEST_SUPPORT_PUBLISHED_STREAM_H_

#include <cstdint>
#include <initializer_list>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "indexer/stream/stream_machine.h"
#include "test/support/fake_clock.h"
#include "test/support/wire_builder.h"

namespace kvroute {

// Tokens first, first + 1, ...
inline std::vector<TokenId> TokensFrom(TokenId first, size_t count) {
  std::vector<TokenId> tokens(count);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

// One engine whose batches come one after the other from batch 0 on, without a replay endpoint:
// what is published, from its bytes to the answer and the trust.
class PublishedStream {
 public:
  explicit PublishedStream(EngineKind engine = EngineKind::kAuto) : decoder_(engine) {
    status_.config.worker_id = "w";
    status_.config.engine = engine;
  }

  StreamStatus& status() { return status_; }
  std::string State() const {
    return absl::StrCat(std::string(TrustName(status_.trust.load())), " ",
                        std::string(TrustReasonName(status_.reason.load())));
  }
  PublishedStream& ApplyPayload(const std::string& payload) {
    if (!machine_) {
      status_.id = *index_.Open(CopyModeOf(status_.config));
      machine_.emplace(&status_, options_, &decoder_, &index_, &counters_, &clock_);
      machine_->OnConnected();
      machine_->OnLiveBatch(seq_++, wire::Batch({}));  // seen from its beginning
    }
    machine_->OnLiveBatch(seq_++, payload);
    return *this;
  }
  PublishedStream& Apply(const std::vector<std::string>& events) {
    return ApplyPayload(wire::Batch(events));
  }

  // As the router hashes a prompt for this stream: blocks by tier, gpu first.
  std::vector<uint32_t> Found(const std::vector<TokenId>& tokens, std::string_view lora = "",
                              std::string_view salt = "",
                              const std::vector<PromptInput>& inputs = {}) {
    const uint32_t size = status_.block_size_tokens.load();
    if (size == 0) return {0, 0, 0, 0};
    std::vector<LocalHash> memory;
    PromptChain chain(
        PromptBlocks(tokens, size, MakeNamespaceSeed(lora, salt), status_.lookahead_tokens.load(),
                     inputs, status_.bare_inputs.load()),
        &memory);
    MatchResult result;
    index_.Match(&chain, &result);
    if (result.matches.empty()) return {0, 0, 0, 0};
    const auto& by_tier = result.matches[0].blocks_by_tier;
    return {by_tier.begin(), by_tier.end()};
  }
  // For what is remembered beside the index's own arena.
  uint64_t ChargedBytes() { return index_.memory()->used(); }
  uint64_t Holdings() const { return index_.Stats().holdings; }

 private:
  FakeClock clock_;
  PrefixIndex index_;
  IngestCounters counters_;
  StreamOptions options_;
  Decoder decoder_;
  StreamStatus status_;
  std::optional<StreamMachine> machine_;
  uint64_t seq_ = 0;
};

using Blocks = std::vector<uint32_t>;  // gpu, cpu, disk, external
inline constexpr char kExactState[] = "exact replay_complete";

// A store of blocks of `size` tokens 1, 2, 3, ... in a medium.
inline std::string StoredIn(const std::string& medium, std::initializer_list<uint64_t> hashes,
                            uint32_t size, uint32_t first_token = 1,
                            const std::string& parent = wire::kNil, const wire::Pairs& more = {}) {
  using namespace wire;
  Pairs changes = {{"block_hashes", Hashes(hashes)},
                   {"parent_block_hash", parent},
                   {"token_ids", Tokens(first_token, static_cast<uint32_t>(hashes.size()) * size)},
                   {"block_size", Uint(size)},
                   {"medium", Str(medium)}};
  changes.insert(changes.end(), more.begin(), more.end());
  return StoredMap(changes);
}
inline std::string RemovedFrom(const std::string& medium, std::initializer_list<uint64_t> hashes) {
  using namespace wire;
  return Map(
      {{"type", Str("BlockRemoved")}, {"block_hashes", Hashes(hashes)}, {"medium", Str(medium)}});
}

inline std::string TierCleared(const std::string& medium, const wire::Pairs& more = {}) {
  using namespace wire;
  Pairs pairs = {{"type", Str("TierBlocksCleared")}, {"medium", Str(medium)}};
  pairs.insert(pairs.end(), more.begin(), more.end());
  return Map(pairs);
}
inline std::string AllCleared() { return wire::Map({{"type", wire::Str("AllBlocksCleared")}}); }

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_PUBLISHED_STREAM_H_
