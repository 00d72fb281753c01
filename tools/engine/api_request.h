#ifndef KVROUTE_TOOLS_ENGINE_API_REQUEST_H_
#define KVROUTE_TOOLS_ENGINE_API_REQUEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "indexer/event/event.h"

namespace kvroute {

// What a group of engines serves.
struct ServedModels {
  std::string base = "m";
  std::vector<std::string> adapters = {};  // LoRA adapters of it, by name
  uint32_t max_model_tokens = 131'072;

  // Whether it is the base model or an adapter.
  bool Has(std::string_view model) const;
};

// The requests that a simulated engine understands.
enum class EngineCall : uint8_t {
  kChat,            // /v1/chat/completions
  kCompletions,     // /v1/completions
  kGenerate,        // vLLM's /inference/v1/generate: token ids
  kSglangGenerate,  // SGLang's /generate: token ids or text
};

// A body as an engine reads it, its text already made tokens.
struct ApiRequest {
  EngineCall api = EngineCall::kChat;
  std::string model = "";      // as asked for
  std::string lora_name = "";  // empty: the base model
  std::string cache_salt = "";
  std::vector<std::vector<TokenId>> prompts = {};  // of completions perhaps several
  bool inside_text = false;                        // the answer goes on from the prompt's text
  std::optional<uint32_t> max_tokens = {};         // of the answer
  bool ignore_eos = false;                         // the answer has exactly so many
  bool stream = false;
  bool include_usage = false;
  bool continuous_usage = false;    // in every piece of the stream
  std::string stream_options = "";  // as given, for a render's answer; JSON or empty
};

// Errors: INVALID_ARGUMENT (400) names the field; NOT_FOUND (404): no such model.
absl::StatusOr<ApiRequest> ReadApiRequest(EngineCall api, std::string_view body,
                                          const ServedModels& models);

// What /tokenize is asked: a text, or a conversation.
struct TokenizeRequest {
  std::vector<std::vector<TokenId>> prompts;
  bool is_list = false;  // SGLang: a list of texts, answered by a list of lists
};
absl::StatusOr<TokenizeRequest> ReadTokenizeRequest(std::string_view body,
                                                    const ServedModels& models);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_ENGINE_API_REQUEST_H_
