#ifndef KVROUTE_ROUTER_PROMPT_RENDER_RENDER_JOB_H_
#define KVROUTE_ROUTER_PROMPT_RENDER_RENDER_JOB_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "indexer/base/clock.h"
#include "router/prompt/render/render_call.h"
#include "router/prompt/render/render_memory.h"
#include "router/prompt/render/render_pool.h"
#include "router/prompt/renderer.h"

namespace kvroute {

// One render under way, and the calls that it may make.
struct RenderJob {
  // A call's body, for one way of asking.
  struct MadeCall {
    RenderPath path;
    std::string json;
  };

  Nanos deadline{0};
  Nanos begun{0};
  std::string model = {};
  PromptRenderer::Done done = {};  // null: a check of the memory
  RenderKey key = {};
  bool is_check = false;
  int attempts = 0;
  size_t bytes = 0;       // of its calls
  uint64_t transfer = 0;  // 0: not sent yet
  std::vector<MadeCall> calls = {};
  std::optional<RenderedPrompt> answer = {};  // known at once; told on the transport's thread

  std::chrono::milliseconds TimeLeft(Nanos now) const;
};

// Makes the chosen call, and while it is not known to be there the ones after it. False: the chosen
// one cannot be made of this body, `detail` says why.
bool MakeCalls(const RequestBody& body, std::string_view text, const RenderPool::Choice& choice,
               RenderJob* job, std::string* detail);

// Whether another renderer, or another call, may do better in what is left of the time.
bool MayTryAgain(const RenderJob& job, RenderFailure failure, Nanos now);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_RENDER_RENDER_JOB_H_
