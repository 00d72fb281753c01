// What a check of a caller's rights costs a call, without what gRPC takes to hand out the header:
// on a connection whose certificate has the role, with the token that came last, with one that
// differs from the last, and with none configured. The floor compares the text of a token with
// another.
#include <benchmark/benchmark.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"
#include "router/rights/known_caller.h"

namespace kvroute {
namespace {

using Names = std::vector<std::string_view>;

std::string HeaderOf(int64_t caller) {
  return absl::StrCat("Bearer 0123456789abcdef0123456789abcd", 10 + caller);
}

void Grant(int64_t tokens, Rights* rights) {
  std::string file;
  for (int64_t i = 0; i < tokens; ++i) {
    absl::StrAppend(&file, "caller-", i, " route ", HeaderOf(i).substr(7), "\n");
  }
  rights->SetOptions({.certificates = {{.name = "gateway.test", .roles = "route"}}});
  KVROUTE_CHECK(rights->SetTokens(file).ok());
}

// `headers` in turn, on one connection.
void CheckRoute(benchmark::State& state, Rights* rights, const Names& names,
                const std::vector<std::string>& headers) {
  KnownCaller caller;
  size_t call = 0;
  for (auto _ : state) {
    const std::string& header = headers[call++ % headers.size()];
    const absl::Status may = caller.Check(
        rights, Action::kRoute, "10.0.0.7:41312", [&] { return names; },
        [&] { return std::string_view(header); });
    KVROUTE_CHECK(may.ok());
  }
}

void NothingConfigured(benchmark::State& state) {
  Rights rights;
  CheckRoute(state, &rights, {}, {""});
}
BENCHMARK(NothingConfigured);

void ByCertificate(benchmark::State& state) {
  Rights rights;
  Grant(state.range(0), &rights);
  CheckRoute(state, &rights, {"gateway.test"}, {HeaderOf(0)});
}
BENCHMARK(ByCertificate)->ArgName("tokens")->Arg(10);

void ByTheSameToken(benchmark::State& state) {
  Rights rights;
  Grant(state.range(0), &rights);
  CheckRoute(state, &rights, {}, {HeaderOf(0)});
}
BENCHMARK(ByTheSameToken)->ArgName("tokens")->Arg(10)->Arg(1'000);

// As a proxy sends the tokens of two callers over one connection.
void ByTokensInTurn(benchmark::State& state) {
  Rights rights;
  Grant(state.range(0), &rights);
  CheckRoute(state, &rights, {}, {HeaderOf(0), HeaderOf(1)});
}
BENCHMARK(ByTokensInTurn)->ArgName("tokens")->Arg(10)->Arg(1'000);

void Floor(benchmark::State& state) {
  const std::string last = HeaderOf(0);
  std::string header = HeaderOf(0);
  for (auto _ : state) {
    benchmark::DoNotOptimize(header.data());
    bool same = header == last;
    benchmark::DoNotOptimize(same);
  }
}
BENCHMARK(Floor);

}  // namespace
}  // namespace kvroute
