#include <algorithm>
#include <cstdint>
#include <string_view>

#include "indexer/base/check.h"
#include "indexer/base/limits.h"
#include "router/audit/usage_reader.h"

// Whatever the response and however it is cut: the same result, and bounded memory.
namespace kvroute {
namespace {

AnswerUsage ReadInPieces(std::string_view type, std::string_view body, size_t bytes) {
  UsageReader reader;
  reader.Begin(type, "");
  for (; !body.empty(); body.remove_prefix(std::min(bytes, body.size()))) {
    reader.Append(body.substr(0, bytes));
    KVROUTE_CHECK(reader.kept_bytes() <= 4 * limits::kMaxUsageTailBytes);
  }
  return reader.End();
}

void FuzzOne(const uint8_t* data, size_t size) {
  if (size < 2) return;
  const std::string_view type = data[0] % 2 == 0 ? "application/json" : "text/event-stream";
  const std::string_view body(reinterpret_cast<const char*>(data + 2), size - 2);
  const AnswerUsage whole = ReadInPieces(type, body, body.size() + 1);
  const AnswerUsage cut = ReadInPieces(type, body, size_t{data[1]} + 1);
  KVROUTE_CHECK(whole.usage == cut.usage && whole.end == cut.end);
  KVROUTE_CHECK((whole.end == UsageEnd::kFound) == !whole.usage.empty());
  if (whole.usage.prompt_tokens && whole.usage.cached_tokens) {
    KVROUTE_CHECK(*whole.usage.cached_tokens <= *whole.usage.prompt_tokens);
  }
}

}  // namespace
}  // namespace kvroute

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kvroute::FuzzOne(data, size);
  return 0;
}
