#ifndef KVROUTE_TOOLS_ENGINE_ENGINE_API_H_
#define KVROUTE_TOOLS_ENGINE_ENGINE_API_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "indexer/base/enum_names.h"
#include "tools/engine/answer.h"
#include "tools/engine/api_request.h"
#include "tools/engine/engine_host.h"

namespace kvroute {

// How an engine treats what it is asked, but for /simulate.
enum class EngineMode : uint8_t {
  kOk,
  kFail,  // everything is 500
  kHang,  // nothing is answered until the mode changes
  kCut,   // the connection ends in the middle of an answer, or instead of it
};
inline constexpr auto kEngineModeNames = NamesUpTo<EngineMode::kCut>("ok", "fail", "hang", "cut");

struct EngineApiOptions {
  std::vector<std::string> names = {};  // one an engine
  ServedModels models = {};
  AnswerOptions answer = {};
  bool render = true;  // false: /render is 404
};

// One HTTP request as far as engines read it.
struct EngineAsk {
  size_t engine = 0;
  std::string_view method;
  std::string_view path;  // without a query
  std::string_view body;
  std::string_view rank;  // X-data-parallel-rank; empty: none
};

struct EngineReply {
  int status = 200;
  std::string body = "";
  std::string content_type = "application/json";
};

// What a request comes to: a reply, or an answer that is being generated.
struct EngineOutcome {
  std::optional<EngineReply> reply;
  std::unique_ptr<Answer> answer;
  std::vector<EngineHost::Submitted> submitted;  // one a prompt of it
  // of /simulate: kill the engine after the reply, for so long
  std::optional<std::chrono::milliseconds> die_for;
};

// Every path of simulated engines, without a network.
//
// Thread safety: every method from any thread. Ownership: the host must outlive it.
class EngineApi {
 public:
  EngineApi(const EngineApiOptions& options, EngineHost* host);

  EngineOutcome Handle(const EngineAsk& ask);

  EngineMode mode(size_t engine) const { return states_[engine]->mode; }
  const std::string& name(size_t engine) const { return options_.names[engine]; }
  // Requests that got a reply or an answer, /simulate not counted.
  uint64_t handled(size_t engine) const { return states_[engine]->handled; }

 private:
  struct State {
    std::atomic<EngineMode> mode{EngineMode::kOk};
    std::atomic<bool> render{true};
    std::atomic<bool> tokenize{true};
    std::atomic<bool> metrics{true};
    std::atomic<double> slowdown{1};
    std::atomic<uint64_t> handled{0};
  };
  struct Path;

  static const std::vector<Path>& Paths();
  EngineOutcome Generate(EngineCall api, const EngineAsk& ask);
  EngineOutcome Render(EngineCall api, const EngineAsk& ask);
  EngineOutcome Tokenize(const EngineAsk& ask);
  EngineOutcome Read(const EngineAsk& ask);  // whatever is just told
  EngineOutcome ClearCache(const EngineAsk& ask);
  EngineOutcome Simulate(const EngineAsk& ask);
  absl::StatusOr<EngineOutcome> Change(const EngineAsk& ask);
  std::string StateJson(size_t engine) const;

  const EngineApiOptions options_;
  EngineHost* const host_;
  const int64_t created_unix_s_;
  std::vector<std::unique_ptr<State>> states_;
  std::atomic<uint64_t> next_number_{1};
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_ENGINE_ENGINE_API_H_
