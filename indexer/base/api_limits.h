#ifndef KVROUTE_INDEXER_BASE_API_LIMITS_H_
#define KVROUTE_INDEXER_BASE_API_LIMITS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>

// Limits of what is asked and told over the API beside prompts: apart from limits.h, which every
// file includes. docs/limits.md lists both.
namespace kvroute::limits {

inline constexpr uint32_t kMaxFleetWatchers = 256;     // kvroute.v1.Fleet.Watch
inline constexpr size_t kMaxErrorFactBytes = 512;      // of one value beside an error's reason
inline constexpr size_t kMaxErrorDetailBytes = 4'096;  // of an error in a call's trailer
// a call whose answer leaves so shortly before its deadline has missed it: its client gave up
inline constexpr std::chrono::milliseconds kMinTimeToTake{2};

inline constexpr size_t kMaxLabels = 16;  // of one worker
inline constexpr size_t kMaxLabelKeyBytes = 63;
inline constexpr size_t kMaxLabelValueBytes = 128;
inline constexpr size_t kMaxFleetPage = 10'000;    // workers on a page of Fleet.List
inline constexpr size_t kMaxFleetHistory = 4'096;  // changes that Fleet.Watch resumes behind

}  // namespace kvroute::limits

#endif  // KVROUTE_INDEXER_BASE_API_LIMITS_H_
