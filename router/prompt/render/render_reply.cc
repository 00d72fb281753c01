#include "router/prompt/render/render_reply.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "indexer/base/limits.h"
#include "indexer/base/text.h"
#include "router/prompt/json_text.h"
#include "router/prompt/multimodal_features.h"
#include "router/prompt/token_list.h"

namespace kvroute {
namespace {

RenderedPrompt BadReply(std::string_view why) {
  return FailedRender(RenderFailure::kBadReply, why);
}

// The tokens of one list; an empty list gives none and is no failure.
RenderedPrompt ReadList(std::string_view raw) {
  RenderedPrompt prompt;
  switch (ReadTokenIds(raw, limits::kMaxPromptTokens, &prompt.token_ids)) {
    case TokenList::kOk:
      return prompt;
    case TokenList::kNotIntegers:
      return BadReply("reply: its tokens are no list of integers");
    case TokenList::kTooMany:
      break;
  }
  return FailedRender(RenderFailure::kTooLarge, "reply: above kMaxPromptTokens");
}

// Takes `next` if it is the longer one, or has failed.
void KeepLonger(RenderedPrompt next, RenderedPrompt* kept) {
  if (!kept->ok()) return;
  if (!next.ok() || next.token_ids.size() > kept->token_ids.size()) *kept = std::move(next);
}

// A list of tokens, or a list of such lists.
RenderedPrompt ReadLists(std::string_view raw) {
  if (!TrimJson(raw.substr(std::min<size_t>(raw.size(), 1))).starts_with('[')) return ReadList(raw);
  RenderedPrompt kept;
  JsonCursor lists(raw);
  std::string_view list;
  while (lists.NextElement(&list)) KeepLonger(ReadList(list), &kept);
  return lists.ok() ? std::move(kept) : BadReply("reply: its tokens are no list");
}

bool ReadInputs(std::string_view raw_features, RenderedPrompt* prompt) {
  if (raw_features.empty()) return true;
  std::string_view hashes, places;
  if (!ReadJsonFields(raw_features, {{"mm_hashes", &hashes}, {"mm_placeholders", &places}})) {
    return false;
  }
  std::vector<MultimodalInput> inputs;
  std::string detail;
  if (!ReadMultimodalFeatures(hashes, places, prompt->token_ids.size(), &inputs, &detail)) {
    return false;
  }
  for (const MultimodalInput& input : inputs) {
    prompt->inputs.push_back(
        {std::string(input.identifier), input.offset_tokens, input.length_tokens});
  }
  return true;
}

// One GenerateRequest.
RenderedPrompt ReadGenerateRequest(std::string_view raw) {
  std::string_view token_ids, input_ids, features, cache_salt;
  if (!ReadJsonFields(raw, {{"token_ids", &token_ids},
                            {"input_ids", &input_ids},
                            {"features", &features},
                            {"cache_salt", &cache_salt}})) {
    return BadReply("reply: no JSON object");
  }
  RenderedPrompt prompt = token_ids.empty() ? ReadLists(input_ids) : ReadList(token_ids);
  if (!prompt.ok()) return prompt;
  if (!ReadInputs(features, &prompt)) return BadReply("reply: its features cannot be read");
  if (!cache_salt.empty() && (!UnescapeJsonString(cache_salt, &prompt.cache_salt) ||
                              prompt.cache_salt.size() > limits::kMaxNamespaceBytes)) {
    return BadReply("reply: its cache_salt is no short text");
  }
  return prompt;
}

RenderedPrompt ReadGenerateRequests(std::string_view raw) {
  if (!IsJsonArray(raw)) return ReadGenerateRequest(raw);
  RenderedPrompt kept;
  JsonCursor requests(raw);
  std::string_view request;
  while (requests.NextElement(&request)) KeepLonger(ReadGenerateRequest(request), &kept);
  return requests.ok() ? std::move(kept) : BadReply("reply: no list of objects");
}

RenderedPrompt ReadTokenized(std::string_view raw) {
  std::string_view tokens, count;
  if (!ReadJsonFields(raw, {{"tokens", &tokens}, {"count", &count}})) {
    return BadReply("reply: no JSON object");
  }
  RenderedPrompt prompt = ReadLists(tokens);
  const std::optional<uint32_t> said = JsonUint32(count);  // SGLang gives a list for several texts
  if (prompt.ok() && said.has_value() && *said != prompt.token_ids.size()) {
    return BadReply(
        fmt::format("reply: {} tokens, and it says {}", prompt.token_ids.size(), *said));
  }
  return prompt;
}

}  // namespace

RenderedPrompt FailedRender(RenderFailure failure, std::string_view detail) {
  RenderedPrompt prompt;
  prompt.failure = failure;
  prompt.detail = OneLine(detail);
  return prompt;
}

RenderedPrompt ReadRenderReply(RenderPath path, std::string_view reply) {
  const std::string_view raw = TrimJson(reply);
  const bool tokenize = RenderedByOf(path) == RenderedBy::kTokenize;
  RenderedPrompt prompt = tokenize ? ReadTokenized(raw) : ReadGenerateRequests(raw);
  if (prompt.ok() && prompt.token_ids.empty()) return BadReply("reply: no tokens");
  prompt.by = RenderedByOf(path);
  return prompt;
}

bool SaysNoSuchCall(int status, std::string_view reply) {
  if (status == 405 || status == 501) return true;
  // An engine says 404 also of a model that it does not serve, with an error that names it.
  return status == 404 && reply.find("does not exist") == std::string_view::npos &&
         reply.find("model") == std::string_view::npos;
}

RenderFailure FailureOfStatus(int status, std::string_view reply) {
  if (SaysNoSuchCall(status, reply)) return RenderFailure::kUnsupported;
  if (status == 429 || status >= 500 || status < 400) return RenderFailure::kServerError;
  return RenderFailure::kRefused;
}

}  // namespace kvroute
