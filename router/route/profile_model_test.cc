// Engines that hash their blocks in different ways, in one fleet: what each would reuse of a prompt
// by its own rules is what the Router answers for it. From the engines' bytes to the answer.
#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "indexer/event/decoder.h"
#include "indexer/stream/stream_applier.h"
#include "test/support/query_fixture.h"
#include "test/support/wire_builder.h"

namespace kvroute {
namespace {

struct Image {
  std::string identifier;
  uint32_t begin = 0;
  uint32_t length = 0;
};

struct ModelPrompt {
  std::vector<TokenId> tokens;
  std::vector<Image> images;  // in order
  std::string lora;
  std::string salt;
};

struct ModelProfile {
  const char* name;
  uint32_t block_size = 4;
  uint32_t lookahead = 0;
  bool pairs = false;  // SGLang with EAGLE: tokens in pairs, one copy, images unknown to it
};

// A prefix cache by its published rules, and nothing of kvroute's: a block is found by all that its
// hash covers and all that stands before it, which here is spelled out as a text.
class ModelCache {
 public:
  ModelCache(const ModelProfile& profile, uint32_t seed) : profile_(profile), random_(seed) {}

  // Leading blocks that a request with this prompt would reuse.
  size_t Reusable(const ModelPrompt& prompt) const {
    size_t blocks = 0;
    for (std::string chain; blocks < BlocksOf(prompt); ++blocks) {
      if (cached_.count(Extend(prompt, blocks, &chain)) == 0) break;
    }
    return blocks;
  }

  // Serves a request; returns the events it publishes, as one batch.
  std::string Serve(const ModelPrompt& prompt) {
    std::vector<std::string> events;
    const size_t reused = Reusable(prompt);
    std::vector<std::string> chains;
    for (std::string chain; chains.size() < BlocksOf(prompt);) {
      chains.push_back(Extend(prompt, chains.size(), &chain));
    }
    if (reused < chains.size()) events.push_back(Stored(prompt, chains, reused));
    for (size_t i = reused; i < chains.size(); ++i) ++cached_[chains[i]];
    for (size_t held = Copies(); held > kCapacity; --held) events.push_back(EvictOne());
    return wire::Batch(events);
  }

 private:
  static constexpr size_t kCapacity = 120;

  size_t BlocksOf(const ModelPrompt& prompt) const {
    size_t blocks = 0;
    while ((blocks + 1) * profile_.block_size + profile_.lookahead <= prompt.tokens.size()) {
      ++blocks;
    }
    return blocks;
  }

  // Images that begin in, or reach into, what the block's hash covers; with their place in it.
  std::vector<std::pair<std::string, int64_t>> ImagesOf(const ModelPrompt& prompt,
                                                        size_t block) const {
    std::vector<std::pair<std::string, int64_t>> images;
    const size_t begin = block * profile_.block_size;
    const size_t end = begin + profile_.block_size + profile_.lookahead;
    if (profile_.pairs) return images;
    for (const Image& image : prompt.images) {
      if (image.begin >= end || image.begin + image.length <= begin) continue;
      images.emplace_back(image.identifier, int64_t{image.begin} - static_cast<int64_t>(begin));
    }
    return images;
  }

  const std::string& Extend(const ModelPrompt& prompt, size_t block, std::string* chain) const {
    if (block == 0) *chain = "salt " + prompt.salt;
    if (!profile_.pairs || block == 0) *chain += " lora " + prompt.lora;
    *chain += " block";
    const size_t begin = block * profile_.block_size;
    for (size_t i = 0; i < profile_.block_size + profile_.lookahead; ++i) {
      *chain += " " + std::to_string(prompt.tokens[begin + i]);
    }
    for (const auto& [identifier, offset] : ImagesOf(prompt, block)) {
      *chain += " " + identifier + "@" + std::to_string(offset);
    }
    return *chain;
  }

  uint64_t HashOf(const std::string& chain) {
    uint64_t& hash = hashes_[chain];
    while (hash == 0) hash = random_();
    return hash;
  }

  std::string TokensOf(const ModelPrompt& prompt, size_t first, size_t last) const {
    std::vector<std::string> tokens;
    for (size_t i = first * profile_.block_size; i < last * profile_.block_size; ++i) {
      const std::string token = wire::Uint(prompt.tokens[i]);
      tokens.push_back(profile_.pairs ? wire::Array({token, wire::Uint(prompt.tokens[i + 1])})
                                      : token);
    }
    return wire::Array(tokens);
  }

  std::string LookaheadOf(const ModelPrompt& prompt, size_t first, size_t last) const {
    std::vector<std::string> lists;
    for (size_t block = first + 1; block <= last; ++block) {
      std::vector<std::string> tokens;
      for (uint32_t i = 0; i < profile_.lookahead; ++i) {
        tokens.push_back(wire::Uint(prompt.tokens[block * profile_.block_size + i]));
      }
      lists.push_back(wire::Array(tokens));
    }
    return wire::Array(lists);
  }

  std::string ExtraKeysOf(const ModelPrompt& prompt, size_t first, size_t last) const {
    std::vector<std::string> blocks;
    for (size_t block = first; block < last; ++block) {
      std::vector<std::string> keys;
      if (!prompt.lora.empty()) keys.push_back(wire::Str(prompt.lora));
      for (const auto& [identifier, offset] : ImagesOf(prompt, block)) {
        keys.push_back(wire::Array({wire::Str(identifier), wire::Int(offset)}));
      }
      if (block == 0 && !prompt.salt.empty()) keys.push_back(wire::Str(prompt.salt));
      blocks.push_back(keys.empty() ? wire::kNil : wire::Array(keys));
    }
    return wire::Array(blocks);
  }

  std::string Stored(const ModelPrompt& prompt, const std::vector<std::string>& chains,
                     size_t first) {
    std::vector<std::string> hashes;
    for (size_t i = first; i < chains.size(); ++i) hashes.push_back(wire::Uint(HashOf(chains[i])));
    wire::Pairs fields = {
        {"type", wire::Str("BlockStored")},
        {"block_hashes", wire::Array(hashes)},
        {"parent_block_hash", first == 0 ? wire::kNil : wire::Uint(HashOf(chains[first - 1]))},
        {"token_ids", TokensOf(prompt, first, chains.size())},
        {"block_size", wire::Uint(profile_.block_size)},
        {"lora_id", wire::kNil},
        {"medium", wire::Str("GPU")}};
    const std::string lora = prompt.lora.empty() ? wire::kNil : wire::Str(prompt.lora);
    if (profile_.pairs) {
      if (!prompt.salt.empty()) fields.emplace_back("cache_salt", wire::Str(prompt.salt));
      if (!prompt.lora.empty()) fields.emplace_back("lora_name", lora);
      return wire::Map(fields);
    }
    fields.emplace_back("lora_name", lora);
    fields.emplace_back("extra_keys", ExtraKeysOf(prompt, first, chains.size()));
    fields.emplace_back("group_idx", wire::Uint(0));
    fields.emplace_back("kv_cache_spec_kind", wire::Str("full_attention"));
    if (profile_.lookahead > 0) {
      fields.emplace_back("lookahead_token_ids", LookaheadOf(prompt, first, chains.size()));
    }
    return wire::Map(fields);
  }

  size_t Copies() const {
    size_t copies = 0;
    for (const auto& [chain, count] : cached_) copies += count;
    return copies;
  }

  // A tree gives up leaves, which another block continues no longer; a pool any block.
  bool MayGo(std::map<std::string, size_t>::const_iterator block) const {
    const auto next = std::next(block);
    return !profile_.pairs || next == cached_.end() ||
           next->first.compare(0, block->first.size() + 1, block->first + " ") != 0;
  }
  std::string EvictOne() {
    auto victim = cached_.begin();
    std::advance(victim, random_() % cached_.size());
    while (!MayGo(victim)) ++victim;  // towards its leaf
    const std::string event = wire::Removed(HashOf(victim->first));
    if (--victim->second == 0) cached_.erase(victim);
    return event;
  }

  const ModelProfile profile_;
  std::mt19937_64 random_;
  std::map<std::string, size_t> cached_;  // chain to its copies
  std::map<std::string, uint64_t> hashes_;
};

constexpr ModelProfile kProfiles[] = {
    {"plain", 4, 0},       {"eagle", 4, 1},          {"small_eagle", 2, 1},
    {"three_ahead", 4, 3}, {"beyond_a_block", 2, 3}, {"pairs", 4, 1, true},
};

class ProfileModelTest : public RouterTest, public testing::WithParamInterface<uint32_t> {
 protected:
  struct Engine {
    ModelProfile profile;
    ModelCache cache;
    Decoder decoder;
    StreamApplier applier;
  };

  ProfileModelTest() : random_(GetParam()) {
    for (const ModelProfile& profile : kProfiles) {
      WorkerSpec spec = Spec(profile.name, 1, 0);
      if (profile.pairs) spec.copies = CopyMode::kSet;
      AddWorker(spec);
      engines_.push_back(std::unique_ptr<Engine>(
          new Engine{profile,
                     ModelCache(profile, GetParam()),
                     Decoder(),
                     {source_.stream(profile.name).get(), size_t{1} << 20, &index_, &counters_}}));
    }
  }

  uint32_t Below(uint32_t end) { return static_cast<uint32_t>(random_() % end); }

  // Like one asked before, up to a point: a branch, another image or namespace, longer or shorter.
  ModelPrompt AnyPrompt() {
    ModelPrompt prompt;
    if (!asked_.empty() && Below(5) != 0) prompt = asked_[Below(asked_.size())];
    prompt.tokens.resize(Below(static_cast<uint32_t>(prompt.tokens.size()) + 1));
    const size_t kept = prompt.tokens.size();
    while (!prompt.images.empty() &&
           prompt.images.back().begin + prompt.images.back().length > kept) {
      prompt.images.pop_back();
    }
    while (Below(12) != 0) AddPiece(&prompt);
    if (!prompt.images.empty() && Below(4) == 0) {
      prompt.images[Below(prompt.images.size())].identifier = "image-" + std::to_string(Below(3));
    }
    if (Below(10) == 0) prompt.salt = Below(2) == 0 ? "" : "tenant";
    if (Below(10) == 0) prompt.lora = Below(2) == 0 ? "" : "sql";
    asked_.push_back(prompt);
    return prompt;
  }
  void AddPiece(ModelPrompt* prompt) {
    const uint32_t length = 1 + Below(6);
    const bool image = Below(3) == 0;
    if (image) {
      prompt->images.push_back({"image-" + std::to_string(Below(3)),
                                static_cast<uint32_t>(prompt->tokens.size()), length});
    }
    for (uint32_t i = 0; i < length; ++i) prompt->tokens.push_back(image ? 9 : 1 + Below(2));
  }

  void Serve(Engine* engine, const ModelPrompt& prompt) {
    const std::string payload = engine->cache.Serve(prompt);
    DecodedBatch batch;
    ASSERT_EQ(engine->decoder.Decode(payload, &batch), DecodeReason::kOk);
    ASSERT_TRUE(batch.skipped.empty());
    const AppliedBatch applied = engine->applier.Apply(batch);
    EXPECT_EQ(TrustReasonName(applied.fault), TrustReasonName(TrustReason::kNone));
    // Images are hidden from the engine that publishes pairs, and from us; of others nothing is.
    EXPECT_FALSE(applied.hidden_keys);
  }

  void Compare(const ModelPrompt& prompt) {
    if (prompt.tokens.empty()) return;
    Request request = Ask(prompt.tokens);
    request.rest.prompt_namespace = {prompt.lora, prompt.salt};
    std::vector<MultimodalInput> inputs;
    for (const Image& image : prompt.images) {
      inputs.push_back({image.identifier, image.begin, image.length});
    }
    request.rest.prompt.multimodal = inputs;
    Scores scores;
    ASSERT_TRUE(router_.Score(request.View(), &scores).ok());
    ASSERT_EQ(scores.matches.size(), engines_.size());
    for (const Match& match : scores.matches) {
      const auto engine = std::find_if(engines_.begin(), engines_.end(), [&](const auto& e) {
        return e->profile.name == match.worker_id;
      });
      if (match.trust != Trust::kExact) {
        EXPECT_EQ(match.trust_reason, TrustReason::kKeysNotPublished);
        EXPECT_TRUE((*engine)->profile.pairs);
        continue;
      }
      ++compared_;
      matched_ += match.blocks;
      EXPECT_EQ(match.blocks, (*engine)->cache.Reusable(prompt)) << (*engine)->profile.name;
    }
  }

  std::mt19937_64 random_;
  IngestCounters counters_;
  std::vector<std::unique_ptr<Engine>> engines_;
  std::vector<ModelPrompt> asked_;
  uint64_t compared_ = 0;
  uint64_t matched_ = 0;
};

TEST_P(ProfileModelTest, AnswersAreWhatTheEnginesReuse) {
  for (int step = 0; step < 300 && !HasFailure(); ++step) {
    SCOPED_TRACE("seed " + std::to_string(GetParam()) + " step " + std::to_string(step));
    const ModelPrompt prompt = AnyPrompt();
    Compare(prompt);
    for (const auto& engine : engines_) {
      if (engine->profile.pairs && !prompt.images.empty()) continue;
      if (Below(2) == 0) Serve(engine.get(), prompt);
    }
    Compare(prompt);
  }
  EXPECT_GT(compared_, 2'000u);
  EXPECT_GT(matched_, compared_);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ProfileModelTest, testing::Range(1u, 9u));

}  // namespace
}  // namespace kvroute
