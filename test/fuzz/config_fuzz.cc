#include <cstdint>
#include <string>
#include <string_view>

#include "indexer/base/check.h"
#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/text.h"
#include "router/config/parse_config.h"

// Whatever the text: no crash and bounded memory; an error is one line of text of bounded length;
// and what is accepted prints as a text that reads back as the same configuration.
namespace kvroute {
namespace {

void FuzzOne(const std::string& text) {
  const absl::StatusOr<ServeConfig> config = ParseConfig(text, "k.yaml", {});
  if (!config.ok()) {
    const std::string_view message = MessageOf(config.status());
    // A byte is written out as four.
    KVROUTE_CHECK(message.size() <= 4 * limits::kMaxConfigErrorBytes + 3);
    KVROUTE_CHECK(IsOneLine(message));
    return;
  }
  const std::string printed = PrintConfig(*config);
  const absl::StatusOr<ServeConfig> again = ParseConfig(printed, "printed", {});
  KVROUTE_CHECK(again.ok());
  KVROUTE_CHECK(PrintConfig(*again) == printed);
}

}  // namespace
}  // namespace kvroute

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kvroute::FuzzOne(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
