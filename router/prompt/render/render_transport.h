#ifndef KVROUTE_ROUTER_PROMPT_RENDER_RENDER_TRANSPORT_H_
#define KVROUTE_ROUTER_PROMPT_RENDER_RENDER_TRANSPORT_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "router/prompt/renderer.h"

namespace kvroute {

// How calls reach a renderer: HTTP in the process, a script in tests.
//
// Thread safety: every method from any thread. Nothing given to it runs inside the call that gives
// it, nor under a lock.
class RenderTransport {
 public:
  struct Call {
    std::string url = {};
    std::string json = {};
    std::chrono::milliseconds deadline{0};
    size_t max_reply_bytes = 0;
    bool named_by_client = false;  // who is called: a client said where it is
  };
  struct Reply {
    // kNo: a whole reply came, whatever its status; else kDeadline, kUnreachable, kTooLarge, kBusy
    // or kBadReply (what came is no HTTP).
    RenderFailure failure = RenderFailure::kNo;
    int status = 0;
    std::string body = {};
    std::string detail = {};  // one line; empty if kNo
  };

  virtual ~RenderTransport() = default;

  // Posts JSON. `done` is called once, also if the call is cancelled.
  virtual uint64_t Send(Call call, std::function<void(Reply)> done) = 0;
  virtual void Cancel(uint64_t id) = 0;  // soon
  // Both are dropped without a word when the transport ends.
  virtual void Run(std::function<void()> work) = 0;
  virtual void RunAfter(Nanos delay, std::function<void()> work) = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_RENDER_RENDER_TRANSPORT_H_
