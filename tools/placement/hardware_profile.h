#ifndef KVROUTE_TOOLS_PLACEMENT_HARDWARE_PROFILE_H_
#define KVROUTE_TOOLS_PLACEMENT_HARDWARE_PROFILE_H_

#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "tools/fleet/engine.h"

namespace kvroute {

// How long a step of one model on one hardware takes:
//
//   step_ms + token_ms * prompt tokens + pair_ms * sum of n (c + n / 2) over the prompts' chunks
//           + decode_ms * decoding requests + context_ms * tokens that those look at
//
// for n tokens computed behind c. The first token is out first_token_ms after its step's end: what
// the server itself takes. docs/placement.md, "Profiles", says where the figures come from.
struct HardwareProfile {
  std::string_view name;
  double step_ms = 0;
  double token_ms = 0;  // more than 0
  double pair_ms = 0;
  double decode_ms = 0;
  double context_ms = 0;
  double first_token_ms = 0;

  // Of `uncached` tokens behind `cached` ones, without the step's fixed time.
  double PrefillMs(double uncached, double cached) const {
    return token_ms * uncached + pair_ms * uncached * (cached + uncached / 2);
  }
  // The context at which attention costs as much as the rest of a token; infinite without pair_ms.
  double BalanceTokens() const;
  // `options` with this step time.
  EngineOptions Timed(EngineOptions options) const;
};

absl::Span<const HardwareProfile> HardwareProfiles();
// nullptr: there is none of the name.
const HardwareProfile* FindProfile(std::string_view name);
// Their names, separated by commas.
std::string ProfileNames();

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_HARDWARE_PROFILE_H_
