#include "router/audit/usage_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "indexer/base/limits.h"
#include "router/prompt/json_text.h"

namespace kvroute {
namespace {

constexpr size_t kMaxTail = limits::kMaxUsageTailBytes;

// Whether a header's value is `wanted`, in any letter case, with parameters or without.
bool IsType(std::string_view value, std::string_view wanted) {
  value = TrimJson(value.substr(0, value.find(';')));
  return std::equal(value.begin(), value.end(), wanted.begin(), wanted.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a | 0x20 : a) == b; });
}

// What stands behind the last `quoted_name` that an object follows; empty: there is none. In JSON
// text such a name cannot be inside a string, where its quotes have backslashes before them.
std::string_view LastObjectNamed(std::string_view text, std::string_view quoted_name) {
  // Most lines of a stream have none: found out many bytes at a time.
  if (text.empty() ||
      memmem(text.data(), text.size(), quoted_name.data(), quoted_name.size()) == nullptr) {
    return {};
  }
  text = TrimJson(text);  // once, not behind each of the names
  for (size_t at = text.rfind(quoted_name); at != std::string_view::npos;
       at = at == 0 ? std::string_view::npos : text.rfind(quoted_name, at - 1)) {
    std::string_view rest = TrimJson(text.substr(at + quoted_name.size()));
    if (!rest.starts_with(':')) continue;
    rest = TrimJson(rest.substr(1));
    if (rest.starts_with('{')) return rest;
  }
  return {};
}

void Take(std::string_view raw, std::optional<uint64_t>* count) {
  if (const std::optional<uint32_t> number = JsonUint32(raw)) *count = *number;
}

}  // namespace

void UsageReader::Begin(std::string_view content_type, std::string_view content_encoding) {
  *this = UsageReader();
  if (!content_encoding.empty() && !IsType(content_encoding, "identity")) {
    passed_over_ = UsageEnd::kCompressed;
  } else if (IsType(content_type, "text/event-stream")) {
    mode_ = Mode::kEvents;
  } else if (IsType(content_type, "application/json")) {
    mode_ = Mode::kJson;
  }
}

void UsageReader::Append(std::string_view piece) {
  if (mode_ == Mode::kJson) AppendJson(piece);
  if (mode_ == Mode::kEvents) AppendEvents(piece);
}

AnswerUsage UsageReader::End() {
  if (mode_ == Mode::kPassedOver) return {{}, passed_over_};
  if (mode_ == Mode::kJson) {
    const std::string_view kept = kept_;
    ReadText(kept.substr(kept.size() - std::min(kept.size(), kMaxTail)));
  } else {
    EndLine({});  // the last line may have no end
  }
  AnswerUsage result{Usage(), UsageEnd::kFound};
  if (result.usage.empty()) {
    result.end = any_too_long_ ? UsageEnd::kTooLong : UsageEnd::kAbsent;
  }
  *this = UsageReader();
  return result;
}

void UsageReader::AppendJson(std::string_view piece) {
  if (piece.size() >= kMaxTail) {
    kept_.assign(piece.substr(piece.size() - kMaxTail));
    return;
  }
  kept_ += piece;
  if (kept_.size() > 2 * kMaxTail) kept_.erase(0, kept_.size() - kMaxTail);
}

void UsageReader::AppendEvents(std::string_view piece) {
  while (!piece.empty()) {
    const size_t end = piece.find_first_of("\n\r");
    if (end == std::string_view::npos) break;
    EndLine(piece.substr(0, end));
    piece.remove_prefix(end + 1);
  }
  if (line_is_too_long_) return;
  if (kept_.size() + piece.size() > kMaxTail) {
    line_is_too_long_ = any_too_long_ = true;
    kept_.clear();
    return;
  }
  kept_ += piece;
}

// A line is whole: what was kept of it, and the rest.
void UsageReader::EndLine(std::string_view rest) {
  if (std::exchange(line_is_too_long_, false)) return;
  if (kept_.size() + rest.size() > kMaxTail) {
    any_too_long_ = true;
  } else if (kept_.empty()) {
    ReadText(rest);
  } else {
    kept_ += rest;
    ReadText(kept_);
  }
  kept_.clear();
}

void UsageReader::ReadText(std::string_view text) {
  if (mode_ == Mode::kEvents && !text.starts_with("data:")) return;
  ReadUsage(LastObjectNamed(text, "\"usage\""));
  ReadUsage(LastObjectNamed(text, "\"meta_info\""));  // SGLang's /generate
}

void UsageReader::ReadUsage(std::string_view raw_object) {
  if (raw_object.empty()) return;
  std::string_view prompt, input, output, completion, cached, cache_read, cache_creation;
  std::string_view prompt_details, input_details;
  const bool is_whole =
      ReadJsonFields(raw_object, {{"prompt_tokens", &prompt},
                                  {"input_tokens", &input},
                                  {"output_tokens", &output},
                                  {"completion_tokens", &completion},
                                  {"cached_tokens", &cached},
                                  {"prompt_tokens_details", &prompt_details},
                                  {"input_tokens_details", &input_details},
                                  {"cache_read_input_tokens", &cache_read},
                                  {"cache_creation_input_tokens", &cache_creation}});
  if (!is_whole) return;
  for (const std::string_view details : {prompt_details, input_details}) {
    if (!details.empty()) ReadJsonFields(details, {{"cached_tokens", &cached}});
  }
  Take(prompt, &counts_.prompt);
  Take(input, &counts_.input);
  Take(completion, &counts_.output);
  Take(output, &counts_.output);
  Take(cached, &counts_.cached);
  Take(cache_read, &counts_.cache_read);
  Take(cache_creation, &counts_.cache_creation);
}

// Anthropic counts what the cache had apart from the rest of the prompt.
ResponseUsage UsageReader::Usage() const {
  ResponseUsage usage;
  usage.output_tokens = counts_.output;
  usage.prompt_tokens = counts_.prompt;
  usage.cached_tokens = counts_.cached.has_value() ? counts_.cached : counts_.cache_read;
  if (!usage.prompt_tokens.has_value() && counts_.input.has_value()) {
    usage.prompt_tokens =
        *counts_.input + counts_.cache_read.value_or(0) + counts_.cache_creation.value_or(0);
  }
  for (std::optional<uint64_t>* count :
       {&usage.prompt_tokens, &usage.cached_tokens, &usage.output_tokens}) {
    if (*count > limits::kMaxPromptTokens) count->reset();
  }
  // More than the whole prompt is no count of it.
  if (usage.cached_tokens.has_value() &&
      usage.prompt_tokens.value_or(UINT64_MAX) < *usage.cached_tokens) {
    usage.cached_tokens.reset();
  }
  return usage;
}

}  // namespace kvroute
