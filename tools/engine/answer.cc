#include "tools/engine/answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace kvroute {
namespace {

// JSON text of it.
std::string Quoted(const std::string& text) { return nlohmann::json(text).dump(); }

std::string IdOf(EngineCall api, uint64_t number) {
  switch (api) {
    case EngineCall::kChat:
      return fmt::format("chatcmpl-{:016x}", number);
    case EngineCall::kCompletions:
      return fmt::format("cmpl-{:016x}", number);
    case EngineCall::kGenerate:
    case EngineCall::kSglangGenerate:
      return fmt::format("{:032x}", number);
  }
  return {};
}

std::string AsEvent(const std::string& json) { return "data: " + json + "\n\n"; }

}  // namespace

Answer::Answer(ApiRequest request, const AnswerOptions& options, uint64_t number,
               int64_t created_unix_s)
    : request_(std::move(request)),
      options_(options),
      id_(IdOf(request_.api, number)),
      created_unix_s_(created_unix_s) {
  for (const std::vector<TokenId>& prompt : request_.prompts) {
    parts_.push_back(PartOf(prompt, options));
  }
}

Answer::Part Answer::PartOf(const std::vector<TokenId>& prompt,
                            const AnswerOptions& options) const {
  Part part{.words = AnswerWords(prompt, request_.inside_text),
            .prompt_tokens = static_cast<uint32_t>(prompt.size())};
  const uint32_t most = request_.max_tokens.value_or(options.natural_tokens + 1);
  part.stops = !request_.ignore_eos && most > options.natural_tokens;
  part.word_count = part.stops ? options.natural_tokens : most;
  return part;
}

GenerationSpec Answer::SpecOf(size_t i) const {
  GenerationSpec spec{.tokens = request_.prompts[i],
                      .prompt_tokens = parts_[i].prompt_tokens,
                      .lora_name = request_.lora_name,
                      .cache_salt = request_.cache_salt};
  parts_[i].words.AppendIds(parts_[i].word_count, &spec.tokens);
  if (parts_[i].stops) spec.tokens.push_back(static_cast<TokenId>(SpecialToken::kEndOfTurn));
  return spec;
}

std::string Answer::TextOf(const Part& part, uint32_t from, uint32_t to) const {
  std::string text;
  for (uint32_t i = from; i < std::min(to, part.word_count); ++i) text += part.words.Word(i);
  return text;
}

std::string Answer::IdsOf(const Part& part, uint32_t from, uint32_t to) const {
  std::string ids;
  for (uint32_t i = from; i < to; ++i) {
    const TokenId id = i < part.word_count ? Tokenizer::IdOf(part.words.Word(i))
                                           : static_cast<TokenId>(SpecialToken::kEndOfTurn);
    fmt::format_to(std::back_inserter(ids), "{}{}", ids.empty() ? "" : ",", id);
  }
  return ids;
}

std::string Answer::FinishReason(const Part& part, uint32_t generated) const {
  if (generated < part.tokens()) return "null";
  return part.stops ? "\"stop\"" : "\"length\"";
}

std::string Answer::Usage(absl::Span<const Progress> progress) const {
  uint64_t prompt = 0, completion = 0, cached = 0;
  for (size_t i = 0; i < parts_.size(); ++i) {
    prompt += parts_[i].prompt_tokens;
    completion += progress[i].generated_tokens;
    cached += progress[i].cached_tokens;
  }
  const bool tells =
      options_.report_cached_tokens && (cached > 0 || !options_.omit_zero_cached_tokens);
  return fmt::format(
      R"({{"prompt_tokens":{},"total_tokens":{},"completion_tokens":{},"prompt_tokens_details":{}}})",
      prompt, prompt + completion, completion,
      tells ? fmt::format(R"({{"cached_tokens":{}}})", cached) : "null");
}

std::string Answer::MetaInfo(const Part& part, const Progress& progress) const {
  const std::string reason = FinishReason(part, progress.generated_tokens);
  return fmt::format(
      R"({{"id":"{}","finish_reason":{},"prompt_tokens":{},"completion_tokens":{},"cached_tokens":{}}})",
      id_, reason == "null" ? reason : fmt::format(R"({{"type":{}}})", reason), part.prompt_tokens,
      progress.generated_tokens, options_.report_cached_tokens ? progress.cached_tokens : 0);
}

// What stands in front of the choices in the two OpenAI APIs.
std::string Answer::Head(bool is_event) const {
  const bool chat = request_.api == EngineCall::kChat;
  const char* const object =
      chat ? (is_event ? "chat.completion.chunk" : "chat.completion") : "text_completion";
  return fmt::format(R"({{"id":"{}","object":"{}","created":{},"model":{},"choices":[)", id_,
                     object, created_unix_s_, Quoted(request_.model));
}

std::string Answer::Choice(size_t i, const Progress& progress) const {
  const Part& part = parts_[i];
  const std::string text = Quoted(TextOf(part, 0, progress.generated_tokens));
  const std::string reason = FinishReason(part, progress.generated_tokens);
  switch (request_.api) {
    case EngineCall::kChat:
      return fmt::format(
          R"({{"index":{},"message":{{"role":"assistant","content":{},"refusal":null,"tool_calls":[]}},"logprobs":null,"finish_reason":{},"stop_reason":null}})",
          i, text, reason);
    case EngineCall::kCompletions:
      return fmt::format(
          R"({{"index":{},"text":{},"logprobs":null,"finish_reason":{},"stop_reason":null}})", i,
          text, reason);
    case EngineCall::kGenerate:
      return fmt::format(R"({{"index":{},"token_ids":[{}],"logprobs":null,"finish_reason":{}}})", i,
                         IdsOf(part, 0, progress.generated_tokens), reason);
    case EngineCall::kSglangGenerate:
      return fmt::format(R"({{"text":{},"output_ids":[{}],"meta_info":{}}})", text,
                         IdsOf(part, 0, progress.generated_tokens), MetaInfo(part, progress));
  }
  return {};
}

std::string Answer::Whole(absl::Span<const Progress> progress) const {
  std::string choices;
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (i > 0) choices += ',';
    choices += Choice(i, progress[i]);
  }
  switch (request_.api) {
    case EngineCall::kChat:
    case EngineCall::kCompletions:
      return Head(false) + choices + R"(],"usage":)" + Usage(progress) + "}";
    case EngineCall::kGenerate:
      return fmt::format(
          R"({{"request_id":"{}","choices":[{}],"prompt_logprobs":null,"kv_transfer_params":null}})",
          id_, choices);
    case EngineCall::kSglangGenerate:
      return parts_.size() == 1 ? choices : "[" + choices + "]";
  }
  return {};
}

std::string Answer::Event(size_t i, uint32_t from, uint32_t to,
                          absl::Span<const Progress> progress) const {
  const Part& part = parts_[i];
  const std::string reason = FinishReason(part, to);
  const std::string text = Quoted(TextOf(part, from, to));
  const std::string usage = request_.continuous_usage ? R"(,"usage":)" + Usage(progress) : "";
  switch (request_.api) {
    case EngineCall::kChat:
      return AsEvent(
          Head(true) +
          fmt::format(
              R"({{"index":{},"delta":{{"content":{}}},"logprobs":null,"finish_reason":{}}}]{}}})",
              i, text, reason, usage));
    case EngineCall::kCompletions:
      return AsEvent(
          Head(true) +
          fmt::format(R"({{"index":{},"text":{},"logprobs":null,"finish_reason":{}}}]{}}})", i,
                      text, reason, usage));
    case EngineCall::kGenerate:
      return AsEvent(fmt::format(
          R"({{"request_id":"{}","choices":[{{"index":{},"token_ids":[{}],"finish_reason":{}}}]}})",
          id_, i, IdsOf(part, from, to), reason));
    case EngineCall::kSglangGenerate: {  // each event says the text so far
      Progress so_far = progress[i];
      so_far.generated_tokens = to;
      return AsEvent(Choice(i, so_far));
    }
  }
  return {};
}

std::string Answer::NextEvents(absl::Span<const Progress> progress) {
  std::string events;
  if (!began_ && request_.api == EngineCall::kChat) {
    for (size_t i = 0; i < parts_.size(); ++i) {
      events += AsEvent(
          Head(true) +
          fmt::format(
              R"({{"index":{},"delta":{{"role":"assistant","content":""}},"logprobs":null,"finish_reason":null}}]}})",
              i));
    }
  }
  began_ = true;
  bool finished = true;
  for (size_t i = 0; i < parts_.size(); ++i) {
    Part& part = parts_[i];
    for (; part.told < progress[i].generated_tokens; ++part.told) {
      events += Event(i, part.told, part.told + 1, progress);
    }
    finished = finished && progress[i].finished;
  }
  if (!finished || ended_) return events;
  ended_ = true;
  const bool openai = request_.api == EngineCall::kChat || request_.api == EngineCall::kCompletions;
  if (openai && request_.include_usage) {
    events += AsEvent(Head(true) + R"(],"usage":)" + Usage(progress) + "}");
  }
  return events + AsEvent("[DONE]");
}

}  // namespace kvroute
