#ifndef KVROUTE_ROUTER_PROMPT_REQUEST_BODY_H_
#define KVROUTE_ROUTER_PROMPT_REQUEST_BODY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "indexer/base/enum_names.h"
#include "indexer/event/event.h"
#include "router/prompt/padded_text.h"
#include "router/prompt/prompt_view.h"

// The body of an HTTP request to an inference engine, read as far as routing needs it.
namespace kvroute {

// Which API a request speaks, by its path.
enum class Api : uint8_t {
  kOther,           // no prompt that we know of
  kCompletions,     // /v1/completions
  kChat,            // /v1/chat/completions
  kResponses,       // /v1/responses, /v1/conversations
  kMessages,        // /v1/messages
  kCountTokens,     // /v1/messages/count_tokens
  kEmbeddings,      // /v1/embeddings
  kVllmGenerate,    // /inference/v1/generate
  kSglangGenerate,  // /generate
};
inline constexpr auto kApiNames = NamesUpTo<Api::kSglangGenerate>(
    "other", "completions", "chat", "responses", "messages", "count_tokens", "embeddings",
    "vllm_generate", "sglang_generate");

// By the longest suffix of the path that is an API's; a query string ("?a=b") does not count.
Api ApiOfPath(std::string_view path);

// Why nothing can be said about which worker holds a prompt. A name is a metric's label.
enum class Unscored : uint8_t {
  kNo,          // it has token ids, or a prompt to render
  kPath,        // the path is no API with a prompt
  kNoReuse,     // embeddings, count_tokens: nothing that a cache would save
  kEmpty,       // no body
  kCompressed,  // a content-encoding, or bytes that are gzip or zstd
  kTooLarge,    // above kMaxScoredBodyBytes
  kNotUtf8,
  kNotJson,        // and not an object, or truncated
  kRepeatedField,  // two readers may take different ones
  kWrongType,      // of a field that decides about the prompt
  kNoPrompt,       // the field is missing, null or empty
  kHistory,        // the prompt is not in the body: previous_response_id, a conversation
  kMultimodal,     // images and the like whose places or hashes cannot be used
  kFieldLimit,     // a name, salt or prompt above its limit of docs/limits.md
};
inline constexpr auto kUnscoredNames = NamesUpTo<Unscored::kFieldLimit>(
    "no", "path", "no_reuse", "empty", "compressed", "too_large", "not_utf8", "not_json",
    "repeated_field", "wrong_type", "no_prompt", "history", "multimodal", "field_limit");

// One body. Every view points into the PaddedText that was read, which the caller keeps unchanged
// for as long as the views are used. Meant to be used again for the next body.
//
// A *raw* view is JSON text as it lies in the body, quotes and escapes included; empty: the field
// is missing or null. The prompt is never unescaped or copied: renderers take it as it is.
struct RequestBody {
  static constexpr size_t kKeptTokens = 262'144;  // memory for more is freed by the next body

  Api api = Api::kOther;
  Unscored unscored = Unscored::kPath;
  // For people: what is wrong, beginning with the field. One line of text; empty if kNo.
  std::string detail;

  // Known also of most bodies that cannot be scored; empty: not said.
  std::string model;
  std::string_view raw_model;  // where it stands in the body
  std::optional<uint32_t> max_output_tokens;
  bool stream = false;

  // What separates equal prompts. lora_name is only what the body says besides its model (SGLang's
  // lora_path): that a model's name is an adapter's, the fleet knows.
  std::string lora_name;
  std::string cache_salt;

  // The prompt as tokens, if the body has it so; of several prompts the longest.
  std::vector<TokenId> token_ids;
  std::vector<MultimodalInput> multimodal;

  // The prompt as text, if there are no token ids.
  std::string_view raw_prompt;   // prompt, messages, input or text: the whole value
  std::string_view raw_longest;  // of several prompts as text the longest; else as raw_prompt
  uint32_t prompt_count = 0;     // several: more than 1
  // What a chat template puts before the messages: system (Anthropic), instructions (responses),
  // tools, and what else changes what it makes of them.
  std::string_view raw_system;
  std::string_view raw_tools;
  std::string_view raw_documents;
  std::string_view raw_chat_template;
  std::string_view raw_chat_template_kwargs;
  std::string_view raw_mm_processor_kwargs;
  std::string_view raw_add_generation_prompt;
  std::string_view raw_continue_final_message;
  std::string_view raw_add_special_tokens;
  std::string_view raw_output_config;
  std::string_view raw_truncate_prompt_tokens;

  bool has_tokens() const { return !token_ids.empty(); }
  // It must be rendered to be scored.
  bool needs_render() const { return unscored == Unscored::kNo && token_ids.empty(); }
  // Of a body that has tokens.
  PromptView prompt() const { return {token_ids, std::nullopt, multimodal}; }
};

// What the request's headers say about its body.
struct RequestHead {
  std::string_view path;              // ":path"
  std::string_view content_encoding;  // empty: none said
};

// Reads bodies, one after the other: ParseRequestBody with the parser's memory kept between calls
// (what an unusually large body took is freed).
//
// Errors: none; whatever the bytes are, `body` says what could be read and why the rest could not.
// Thread safety: one thread at a time.
class RequestBodyReader {
 public:
  RequestBodyReader();
  ~RequestBodyReader();
  RequestBodyReader(RequestBodyReader&&) noexcept;
  RequestBodyReader& operator=(RequestBodyReader&&) noexcept;

  void Read(const RequestHead& head, const PaddedText& text, RequestBody* body);

 private:
  class Parser;
  std::unique_ptr<Parser> parser_;
};

// The same with a reader of its own: for tests and for what is seldom done.
void ParseRequestBody(const RequestHead& head, const PaddedText& text, RequestBody* body);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_REQUEST_BODY_H_
