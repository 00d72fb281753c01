#include "tools/placement/hardware_profile.h"

#include <limits>

#include "absl/strings/str_cat.h"

namespace kvroute {
namespace {

constexpr HardwareProfile kProfiles[] = {
    // Measured (CDE): a fit of vLLM's steps on the slice.
    {.name = "qwen3-0.6b-a30",
     .step_ms = 7.717,
     .token_ms = 0.0482,
     .pair_ms = 9.786e-6,
     .decode_ms = 0.0482,
     .context_ms = 5.25e-4,
     .first_token_ms = 5.208},
    // By arithmetic from measured times to the first token: misses of 1k and 64k tokens (78 ms and
    // 15.2 s), hits (42 ms), 10 ms a token of output, 100 KB a token of context at 4 TB/s.
    {.name = "qwen3-coder-30b-h20",
     .step_ms = 10,
     .token_ms = 0.03204,
     .pair_ms = 6.081e-6,
     .decode_ms = 0.1,
     .context_ms = 2.5e-5,
     .first_token_ms = 32},
    // Preble's fits of prefills. Of decodes by arithmetic: bytes of a token's KV cache / memory
    // bandwidth.
    {.name = "llama3-70b-2xh100",
     .step_ms = 18.667,
     .token_ms = 0.07988,
     .pair_ms = 7.444e-7,
     .decode_ms = 0.07988,
     .context_ms = 4.9e-5},
    {.name = "mistral-7b-a100",
     .step_ms = 5.51,
     .token_ms = 0.05031,
     .decode_ms = 0.05031,
     .context_ms = 6.4e-5},
    // Of `kvroute fleet`.
    {.name = "linear", .step_ms = 10, .token_ms = 1.0 / 12, .decode_ms = 0.1},
};

}  // namespace

double HardwareProfile::BalanceTokens() const {
  return pair_ms > 0 ? token_ms / pair_ms : std::numeric_limits<double>::infinity();
}

EngineOptions HardwareProfile::Timed(EngineOptions options) const {
  const auto nanos = [](double ms) { return Nanos(static_cast<int64_t>(ms * 1e6)); };
  options.step_overhead = nanos(step_ms);
  options.prefill_tokens_per_second = 1e3 / token_ms;
  options.decode_per_request = nanos(decode_ms);
  options.attention_ns_per_pair = pair_ms * 1e6;
  options.decode_ns_per_context_token = context_ms * 1e6;
  return options;
}

absl::Span<const HardwareProfile> HardwareProfiles() { return kProfiles; }

const HardwareProfile* FindProfile(std::string_view name) {
  for (const HardwareProfile& profile : kProfiles) {
    if (profile.name == name) return &profile;
  }
  return nullptr;
}

std::string ProfileNames() {
  std::string names;
  for (const HardwareProfile& profile : kProfiles) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", std::string(profile.name));
  }
  return names;
}

}  // namespace kvroute
