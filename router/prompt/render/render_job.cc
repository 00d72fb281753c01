#include "router/prompt/render/render_job.h"

#include <utility>

namespace kvroute {
namespace {

constexpr int kMaxAttempts = 3;                     // one more renderer, one more call
constexpr std::chrono::milliseconds kLeastTime{5};  // less is not worth a call

}  // namespace

std::chrono::milliseconds RenderJob::TimeLeft(Nanos now) const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(deadline - now);
}

bool MakeCalls(const RequestBody& body, std::string_view text, const RenderPool::Choice& choice,
               RenderJob* job, std::string* detail) {
  for (const RenderPath path : RenderPathsOf(body.api)) {
    if (path < choice.path) continue;
    RenderJob::MadeCall call{path, {}};
    if (MakeRenderCall(path, body, text, job->model, &call.json, detail)) {
      job->bytes += call.json.size();
      job->calls.push_back(std::move(call));
    } else if (path == choice.path) {
      return false;
    }
    if (choice.is_known) return true;
  }
  return true;
}

bool MayTryAgain(const RenderJob& job, RenderFailure failure, Nanos now) {
  const bool may_do_better =
      failure == RenderFailure::kUnreachable || failure == RenderFailure::kServerError ||
      failure == RenderFailure::kBadReply || failure == RenderFailure::kUnsupported;
  return may_do_better && job.attempts < kMaxAttempts && job.TimeLeft(now) >= kLeastTime;
}

}  // namespace kvroute
