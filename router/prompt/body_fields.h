#ifndef KVROUTE_ROUTER_PROMPT_BODY_FIELDS_H_
#define KVROUTE_ROUTER_PROMPT_BODY_FIELDS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "router/prompt/padded_text.h"
#include "router/prompt/request_body.h"
#include "router/prompt/token_list.h"

namespace kvroute {

// What is read of a body, wherever it stands in it; body_fields.cc has the names.
enum class BodyField : uint8_t {
  kModel,
  kPrompt,
  kMessages,
  kInput,
  kText,
  kTokenIds,
  kInputIds,
  kSystem,
  kInstructions,
  kTools,
  kDocuments,
  kChatTemplate,
  kChatTemplateKwargs,
  kMmProcessorKwargs,
  kAddGenerationPrompt,
  kContinueFinalMessage,
  kAddSpecialTokens,
  kOutputConfig,
  kTruncatePromptTokens,
  kPreviousResponseId,
  kConversation,
  kCacheSalt,
  kExtraKey,
  kLoraPath,
  kMaxTokens,
  kMaxCompletionTokens,
  kMaxOutputTokens,
  kStream,
  kNvextTokenData,
  kNvextCacheSalt,
  kSamplingMaxTokens,
  kSamplingMaxNewTokens,
  kMmHashes,
  kMmPlaceholders,
};
inline constexpr size_t kBodyFieldCount = static_cast<size_t>(BodyField::kMmPlaceholders) + 1;

// The raw values of one body's fields, in one pass over it. The only file that sees the JSON
// parser.
//
// Thread safety: one thread at a time. Ownership: the views point into the text.
class BodyFields {
 public:
  BodyFields();
  ~BodyFields();

  // kNo: all fields were found that there are. Else why not, and `detail` for people; what came
  // before the fault has been found then.
  Unscored Read(const PaddedText& text, std::string* detail);

  // The tokens of a list that is the value of a field, if they were read along the way; it is told
  // once, and for this very value.
  bool TakeTokens(std::string_view raw, std::vector<TokenId>* tokens);

  // Empty: missing or null.
  std::string_view operator[](BodyField field) const { return raw_[static_cast<size_t>(field)]; }

 private:
  class Walk;
  struct Parser;

  Unscored ReadAround(const PaddedText& text, TokenListPlace list, std::string* detail);

  std::unique_ptr<Parser> parser_;
  std::string_view list_;        // whose tokens were read; empty: none
  std::vector<TokenId> tokens_;  // of it
  PaddedText around_;            // the body with "[]" in its place
  std::array<std::string_view, kBodyFieldCount> raw_;
};

std::string_view BodyFieldName(BodyField field);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_BODY_FIELDS_H_
