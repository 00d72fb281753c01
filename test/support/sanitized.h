#ifndef KVROUTE_TEST_SUPPORT_SANITIZED_H_
#define KVROUTE_TEST_SUPPORT_SANITIZED_H_

namespace kvroute {

// Whether a sanitizer watches this build: it takes memory and address space of its own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_SANITIZED_H_
