#ifndef KVROUTE_ROUTER_EDGE_EXT_PROC_PICKER_OPTIONS_H_
#define KVROUTE_ROUTER_EDGE_EXT_PROC_PICKER_OPTIONS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "indexer/base/enum_names.h"
#include "indexer/base/limits.h"

namespace kvroute {

// What the endpoint picker's port speaks.
enum class PickerTls : uint8_t { kSelfSigned, kFiles, kOff };
inline constexpr auto kPickerTlsNames = NamesUpTo<PickerTls::kOff>("self_signed", "files", "off");

// What to do with a body that cannot be read, and with a request that only overloaded workers could
// serve.
enum class BadBody : uint8_t { kPass, kReject };
inline constexpr auto kBadBodyNames = NamesUpTo<BadBody::kReject>("pass", "reject");
enum class WhenOverloaded : uint8_t { kRoute, kRefuse };
inline constexpr auto kWhenOverloadedNames = NamesUpTo<WhenOverloaded::kRefuse>("route", "refuse");

// When another worker than the picked one computes the prompt.
enum class PrefillElsewhere : uint8_t { kNever, kByPrompt, kAlways };
inline constexpr auto kPrefillElsewhereNames =
    NamesUpTo<PrefillElsewhere::kAlways>("never", "by_prompt", "always");

struct PickerOptions {
  size_t max_body_bytes = limits::kMaxBodyBytes;
  // A longer one is read on another thread, while others are picked for.
  size_t max_short_body_bytes = limits::kMaxShortBodyBytes;
  // For the body to end, in full duplex; then the request is picked for by load.
  std::chrono::milliseconds body_timeout{30'000};
  // For a prompt to be rendered, from the end of the body: in full duplex, and where the proxy's
  // message_timeout runs.
  std::chrono::milliseconds pick_timeout{5'000};
  std::chrono::milliseconds buffered_pick_timeout{150};
  uint32_t fallback_endpoints = 0;  // told behind the picked one
  PrefillElsewhere prefill = PrefillElsewhere::kByPrompt;
  // Of kByPrompt: from so many tokens on, of those that the picked one would have to compute, and
  // of the whole prompt.
  uint32_t prefill_uncached_tokens = 512;
  uint32_t prefill_prompt_tokens = 0;
  // What a proxy that buffers bodies is asked to wait for, instead of its message_timeout, when a
  // prompt must be rendered; 0: it is not asked.
  std::chrono::milliseconds message_timeout{0};
  // InferenceObjectives whose requests are refused when all workers are overloaded.
  std::vector<std::string> sheddable = {};
  bool tell_scores = false;
  bool conformance_fixture = false;  // the gateways' tests choose the endpoint
  BadBody bad_body = BadBody::kPass;
  WhenOverloaded overloaded = WhenOverloaded::kRoute;
  bool fleet_known = true;  // see EndpointPicker::SetFleetKnown
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_EXT_PROC_PICKER_OPTIONS_H_
