#ifndef KVROUTE_ROUTER_PROMPT_RENDER_ANTHROPIC_CHAT_H_
#define KVROUTE_ROUTER_PROMPT_RENDER_ANTHROPIC_CHAT_H_

#include <string>

#include "router/prompt/request_body.h"

namespace kvroute {

// A body of Anthropic's Messages API as the fields of a chat completion that vLLM makes of it: what
// it renders is then what the engine will.
struct AnthropicChat {
  std::string messages;          // JSON
  std::string tools;             // JSON; empty: none
  std::string reasoning_effort;  // JSON; empty: none
};

// False: it has something whose conversion is not known, and `detail` says what. Text is copied
// with its escapes as they are.
bool MakeAnthropicChat(const RequestBody& body, AnthropicChat* chat, std::string* detail);

// A raw value as Python's json.dumps writes what json.loads read: ", " and ": ", ASCII alone.
// Bounded in depth; false: deeper, or no JSON.
bool AppendPythonJson(std::string_view raw, std::string* out);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_RENDER_ANTHROPIC_CHAT_H_
