#ifndef KVROUTE_TOOLS_ENGINE_CHAT_TEMPLATE_H_
#define KVROUTE_TOOLS_ENGINE_CHAT_TEMPLATE_H_

#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json_fwd.hpp"

namespace kvroute {

// The text that a chat body's conversation is for the model, in the form of Llama 3's template:
//
//   <|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>
//   <|start_header_id|>assistant<|end_header_id|>\n\n
//
// (in one line). Contents are trimmed, so that a conversation that goes on begins with the same
// tokens as before, whatever its answers are: each ends with a special token. Tools, documents and
// chat_template_kwargs stand in front of everything and change all of it. An image is 64 tokens
// made of what names it.
//
// Reads messages, tools, documents, chat_template_kwargs, add_generation_prompt (true unless said)
// and continue_final_message. Errors: INVALID_ARGUMENT names the field.
absl::StatusOr<std::string> RenderChat(const nlohmann::ordered_json& body);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_ENGINE_CHAT_TEMPLATE_H_
