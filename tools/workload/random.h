#ifndef KVROUTE_TOOLS_WORKLOAD_RANDOM_H_
#define KVROUTE_TOOLS_WORKLOAD_RANDOM_H_

#include <cmath>
#include <cstdint>

namespace kvroute {

// A bijection of 64-bit words that changes about half of the bits for any change of the input (the
// finaliser of SplitMix64, which is in the public domain).
constexpr uint64_t MixBits(uint64_t word) {
  word += 0x9e3779b97f4a7c15;
  word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
  word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
  return word ^ (word >> 31);
}

// A seeded source of random numbers whose results do not depend on the standard library's
// distributions: the same seed gives the same workload everywhere. Thread safety: one thread at a
// time.
class SeededRandom {
 public:
  explicit SeededRandom(uint64_t seed) : state_(MixBits(seed)) {}

  uint64_t Next() { return MixBits(state_ += 0x9e3779b97f4a7c15); }
  // In [0, 1).
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }
  // In [0, bound); bound at least 1. Its bias is below bound / 2^64.
  uint64_t Below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
  }
  double Exponential(double mean) { return -mean * std::log1p(-Uniform()); }
  double LogNormal(double median, double sigma) {
    const double radius = std::sqrt(-2.0 * std::log1p(-Uniform()));
    return median * std::exp(sigma * radius * std::cos(2.0 * M_PI * Uniform()));
  }

 private:
  uint64_t state_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_WORKLOAD_RANDOM_H_
