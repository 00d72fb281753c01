#ifndef KVROUTE_INDEXER_BASE_STRONG_INT_H_
#define KVROUTE_INDEXER_BASE_STRONG_INT_H_

#include <compare>
#include <cstdint>
#include <functional>
#include <utility>

namespace kvroute {

// An integer that only mixes with itself: a hash, an id. `Tag` is any type; it is never
// instantiated. Zero cost, trivially copyable, hashable with absl and std.
template <typename Tag, typename Rep>
class StrongInt {
 public:
  constexpr StrongInt() = default;
  constexpr explicit StrongInt(Rep value) : value_(value) {}
  constexpr Rep value() const { return value_; }

  friend constexpr auto operator<=>(StrongInt, StrongInt) = default;
  template <typename H>
  friend H AbslHashValue(H state, StrongInt id) {
    return H::combine(std::move(state), id.value_);
  }

 private:
  Rep value_ = 0;
};

}  // namespace kvroute

template <typename Tag, typename Rep>
struct std::hash<kvroute::StrongInt<Tag, Rep>> {
  size_t operator()(kvroute::StrongInt<Tag, Rep> id) const { return std::hash<Rep>()(id.value()); }
};

#endif  // KVROUTE_INDEXER_BASE_STRONG_INT_H_
