#ifndef KVROUTE_ROUTER_PROMPT_RENDERER_H_
#define KVROUTE_ROUTER_PROMPT_RENDERER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "indexer/base/clock.h"
#include "indexer/base/enum_names.h"
#include "indexer/base/strong_int.h"
#include "indexer/event/event.h"
#include "router/prompt/prompt_view.h"
#include "router/prompt/request_body.h"

namespace kvroute {

// Why a prompt has no tokens. A name is a metric's label.
enum class RenderFailure : uint8_t {
  kNo,           // it has
  kOff,          // no renderers are configured
  kNoRenderer,   // none of the model's answers: all unknown, or left alone after failures
  kBusy,         // too many renders are under way
  kDeadline,     // not in time
  kUnreachable,  // no connection, or it broke
  kRefused,      // the renderer says that the body is wrong (400 and the like)
  kUnsupported,  // no renderer of the model has a call for this API (404, 501)
  kServerError,  // 5xx, 429
  kTooLarge,     // its answer is above kMaxRenderReplyBytes, or has too many tokens
  kBadReply,     // its answer cannot be understood
  kBadBody,      // the body cannot be made into what the renderer takes
};
inline constexpr auto kRenderFailureNames = NamesUpTo<RenderFailure::kBadBody>(
    "no", "off", "no_renderer", "busy", "deadline", "unreachable", "refused", "unsupported",
    "server_error", "too_large", "bad_reply", "bad_body");

// Where tokens came from.
enum class RenderedBy : uint8_t {
  kRender,    // the engine's render call: multimodal inputs and salt included
  kTokenize,  // its tokenize call
  kMemory,    // remembered of the same body
};
inline constexpr auto kRenderedByNames =
    NamesUpTo<RenderedBy::kMemory>("render", "tokenize", "memory");

// What separates one render from another that is under way.
using RenderTicket = StrongInt<struct RenderTicketTag, uint64_t>;

struct RenderedPrompt {
  struct Input {
    std::string identifier;
    uint32_t offset_tokens = 0;
    uint32_t length_tokens = 0;
  };

  RenderFailure failure = RenderFailure::kNo;
  std::string detail;  // for people, one line; empty if kNo
  RenderedBy by = RenderedBy::kRender;
  // If kNo: at least one token, at most kMaxPromptTokens.
  std::vector<TokenId> token_ids;
  std::vector<Input> inputs;  // multimodal, in the order of their places
  std::string cache_salt;     // empty: none

  bool ok() const { return failure == RenderFailure::kNo; }
  // `memory` keeps the views of the inputs; both must outlive the view.
  PromptView View(std::vector<MultimodalInput>* memory) const {
    memory->clear();
    for (const Input& input : inputs) {
      memory->push_back({input.identifier, input.offset_tokens, input.length_tokens});
    }
    return {token_ids, std::nullopt, *memory};
  }
};

// Turns the text of prompts into tokens, by asking somebody who has the model's tokenizer. A border
// of the program: test/support/fake_renderer.h stands in for it.
//
// Thread safety: every method from any thread.
class PromptRenderer {
 public:
  using Done = std::function<void(RenderedPrompt)>;

  virtual ~PromptRenderer() = default;

  // What a body was rendered to a moment ago, if that is known; it is then not to be rendered, and
  // `body` and `text` are as for Start. nullptr: it is not known.
  virtual std::shared_ptr<const RenderedPrompt> Recall(const RequestBody& body,
                                                       const PaddedText& text,
                                                       std::string_view model) = 0;

  // Begins to render a body for which needs_render() holds. `body` and the text it views are read
  // during this call only. `model` is what the fleet calls the base model: it replaces the body's,
  // which may be an adapter's name. `deadline` is a time of the clock's Monotonic().
  //
  // `done` is called exactly once, unless Cancel returns true: on a thread of the renderer, never
  // inside this call, and no later than shortly after the deadline. It must not block, and may call
  // Start and Cancel.
  virtual RenderTicket Start(const RequestBody& body, const PaddedText& text,
                             std::string_view model, Nanos deadline, Done done) = 0;

  // True: the render's `done` will never be called, and has been destroyed. False: it has been
  // called, or is being called right now.
  virtual bool Cancel(RenderTicket ticket) = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_RENDERER_H_
