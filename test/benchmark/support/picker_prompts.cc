#include "test/benchmark/support/picker_prompts.h"

#include <random>

#include "absl/strings/str_cat.h"

namespace kvroute {
namespace {

constexpr TokenId kVocabulary = 151'643;
constexpr size_t kTextBytesPerToken = 4;

std::mt19937_64 RandomOf(const PickerShape& shape, size_t prompt) {
  return std::mt19937_64(shape.bytes * 1'000 + prompt * 2 + static_cast<size_t>(shape.form));
}

std::string TextBody(const PickerShape& shape, size_t prompt) {
  std::mt19937_64 random = RandomOf(shape, prompt);
  std::string body =
      absl::StrCat(R"({"model":"m","stream":true,"messages":[{"role":"user","content":"prompt )",
                   prompt, " of ", shape.bytes, ": ");
  while (body.size() + 40 < shape.bytes) {
    for (size_t letters = 2 + random() % 9; letters > 0; --letters) {
      body += static_cast<char>('a' + random() % 26);
    }
    body += random() % 24 == 0 ? "\\n" : " ";
  }
  return body + R"("}],"max_tokens":128})";
}

}  // namespace

std::string PickerPath(PickerForm form) {
  return form == PickerForm::kTokens ? "/v1/completions" : "/v1/chat/completions";
}

std::string PickerBody(const PickerShape& shape, size_t prompt) {
  if (shape.form == PickerForm::kText) return TextBody(shape, prompt);
  std::string body = R"({"model":"m","stream":true,"max_tokens":128,"prompt":[)";
  for (const TokenId token : PickerTokens(shape, prompt)) absl::StrAppend(&body, token, ",");
  body.back() = ']';
  return body + "}";
}

// As many as fill the body.
std::vector<TokenId> PickerTokens(const PickerShape& shape, size_t prompt) {
  std::mt19937_64 random = RandomOf(shape, prompt);
  std::vector<TokenId> tokens;
  const bool as_text = shape.form == PickerForm::kText;
  for (size_t bytes = 60; bytes < shape.bytes;) {
    tokens.push_back(static_cast<TokenId>(random() % kVocabulary));
    bytes += as_text ? kTextBytesPerToken : absl::StrCat(tokens.back()).size() + 1;
  }
  return tokens;
}

std::string PickerEndpoint(size_t worker, int port) {
  return absl::StrCat("127.0.1.", 1 + worker, ":", port);
}

size_t PickerHolder(const PickerShape& shape, size_t prompt) {
  return (prompt * 5 + shape.bytes / 1'024 + static_cast<size_t>(shape.form)) % kPickerWorkers;
}

}  // namespace kvroute
