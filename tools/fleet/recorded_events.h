#ifndef KVROUTE_TOOLS_FLEET_RECORDED_EVENTS_H_
#define KVROUTE_TOOLS_FLEET_RECORDED_EVENTS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "tools/fleet/cache_events.h"

namespace kvroute {

// For tests: a made-up digest that can be told by its number (1 to 255), and a listener that writes
// events down as text, e.g. "stored 1>2,3" (parent 1), "stored >1" (no parent), "removed 3",
// "cleared". What was stored within a namespace ends in " lora NAME" or " salt TEXT".
inline Digest TestDigest(uint8_t number) {
  Digest digest{};
  digest[0] = digest[31] = number;
  return digest;
}

class RecordedEvents : public CacheEvents {
 public:
  void Stored(const Digest* parent, absl::Span<const Digest> hashes,
              absl::Span<const TokenId> tokens, const HashNamespace& names) override {
    std::string line = "stored ";
    if (parent != nullptr) absl::StrAppend(&line, static_cast<int>((*parent)[0]));
    const char* separator = ">";
    for (const Digest& hash : hashes) {
      absl::StrAppend(&line, separator, static_cast<int>(hash[0]));
      separator = ",";
    }
    if (!names.lora_name.empty()) absl::StrAppend(&line, " lora ", std::string(names.lora_name));
    if (!names.cache_salt.empty()) absl::StrAppend(&line, " salt ", std::string(names.cache_salt));
    lines.push_back(line);
    stored_tokens.insert(stored_tokens.end(), tokens.begin(), tokens.end());
  }
  void Removed(const Digest& hash) override {
    lines.push_back(absl::StrCat("removed ", static_cast<int>(hash[0])));
  }
  void Cleared() override { lines.push_back("cleared"); }

  std::vector<std::string> Take() { return std::exchange(lines, {}); }

  std::vector<std::string> lines;
  std::vector<TokenId> stored_tokens;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_RECORDED_EVENTS_H_
