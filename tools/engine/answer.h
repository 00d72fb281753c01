#ifndef KVROUTE_TOOLS_ENGINE_ANSWER_H_
#define KVROUTE_TOOLS_ENGINE_ANSWER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "indexer/event/event.h"
#include "tools/engine/api_request.h"
#include "tools/engine/generation.h"
#include "tools/engine/tokenizer.h"

namespace kvroute {

struct AnswerOptions {
  uint32_t natural_tokens = 64;  // after so many words the model has nothing more to say
  bool report_cached_tokens = true;
  // SGLang's habit: a count of cached tokens only where there are some.
  bool omit_zero_cached_tokens = false;
};

// What one request is answered: which tokens, and the bytes that its API says them in, in one piece
// or as server-sent events. The tokens depend on the prompt alone.
//
// Thread safety: one thread at a time.
class Answer {
 public:
  using Progress = Generation::Progress;

  // `number` tells it from all others in its id.
  Answer(ApiRequest request, const AnswerOptions& options, uint64_t number, int64_t created_unix_s);

  const ApiRequest& request() const { return request_; }
  // What the engine is to generate for prompt `i`.
  GenerationSpec SpecOf(size_t i) const;
  size_t prompts() const { return parts_.size(); }

  // When all have finished, in the order of the prompts.
  std::string Whole(absl::Span<const Progress> progress) const;

  // The next events: for the tokens that have come since the last call, and the end of the stream
  // once all have finished. A prompt's tokens before `seen(i)` have been told.
  std::string NextEvents(absl::Span<const Progress> progress);
  uint32_t seen(size_t i) const { return parts_[i].told; }
  bool ended() const { return ended_; }

 private:
  struct Part {
    AnswerWords words;
    uint32_t prompt_tokens = 0;
    uint32_t word_count = 0;
    bool stops = false;  // its last token ends the turn; false: it is cut off
    uint32_t told = 0;
    uint32_t tokens() const { return word_count + (stops ? 1 : 0); }
  };

  Part PartOf(const std::vector<TokenId>& prompt, const AnswerOptions& options) const;
  std::string TextOf(const Part& part, uint32_t from, uint32_t to) const;
  std::string IdsOf(const Part& part, uint32_t from, uint32_t to) const;
  std::string FinishReason(const Part& part, uint32_t generated) const;
  std::string Usage(absl::Span<const Progress> progress) const;
  std::string MetaInfo(const Part& part, const Progress& progress) const;
  std::string Choice(size_t i, const Progress& progress) const;
  // One event for tokens [from, to) of a prompt.
  std::string Event(size_t i, uint32_t from, uint32_t to,
                    absl::Span<const Progress> progress) const;
  std::string Head(bool is_event) const;

  const ApiRequest request_;
  const AnswerOptions options_;
  const std::string id_;
  const int64_t created_unix_s_;
  std::vector<Part> parts_;
  bool began_ = false;
  bool ended_ = false;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_ENGINE_ANSWER_H_
