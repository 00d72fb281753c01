#ifndef KVROUTE_ROUTER_AUDIT_USAGE_READER_H_
#define KVROUTE_ROUTER_AUDIT_USAGE_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "router/audit/response_usage.h"

namespace kvroute {

// Finds the usage in one response as its pieces go by, cut anywhere: JSON or server-sent events, of
// OpenAI's chat, completions and responses, of Anthropic's messages, of SGLang's /generate. It
// keeps the last kMaxUsageTailBytes of JSON, of a stream the line that is not whole yet; of numbers
// that come more than once the last counts. A number above kMaxPromptTokens is none.
//
// Thread safety: one thread at a time. Errors: none; what cannot be understood is not there.
class UsageReader {
 public:
  // A response begins, with these headers; whatever came before is forgotten.
  void Begin(std::string_view content_type, std::string_view content_encoding);
  void Append(std::string_view piece);
  // It has ended, or broken off. Frees what was kept.
  AnswerUsage End();

  // Whether Append still wants the body: not of what is passed over.
  bool wants_body() const { return mode_ != Mode::kPassedOver; }
  size_t kept_bytes() const { return kept_.capacity(); }

 private:
  enum class Mode : uint8_t { kPassedOver, kJson, kEvents };

  // As engines write it; several of a stream are put together.
  struct Counts {
    std::optional<uint64_t> prompt, input, cached, cache_read, cache_creation, output;
  };

  void AppendJson(std::string_view piece);
  void AppendEvents(std::string_view piece);
  void EndLine(std::string_view rest);
  void ReadText(std::string_view text);
  void ReadUsage(std::string_view raw_object);
  ResponseUsage Usage() const;

  Mode mode_ = Mode::kPassedOver;
  UsageEnd passed_over_ = UsageEnd::kOtherType;
  std::string kept_;
  bool line_is_too_long_ = false;  // the one that is not whole yet
  bool any_too_long_ = false;
  Counts counts_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_AUDIT_USAGE_READER_H_
