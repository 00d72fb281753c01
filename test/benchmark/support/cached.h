#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_CACHED_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_CACHED_H_

#include <memory>
#include <optional>
#include <tuple>

namespace kvroute {

// What a benchmark asks questions of, made once: Google Benchmark calls a benchmark several times
// to find its number of iterations, and again for every repetition. Only the last one of each type
// is kept. Not thread-safe.
template <typename State, typename... Key>
State& Cached(const Key&... key) {
  static std::optional<std::tuple<Key...>> made_for;
  static std::unique_ptr<State> state;
  const std::tuple<Key...> wanted(key...);
  if (made_for != wanted) {
    state.reset();  // two of them may not fit
    state = std::make_unique<State>(key...);
    made_for = wanted;
  }
  return *state;
}

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_CACHED_H_
