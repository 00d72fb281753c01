#ifndef KVROUTE_ROUTER_EDGE_EXT_PROC_PICKER_STREAM_H_
#define KVROUTE_ROUTER_EDGE_EXT_PROC_PICKER_STREAM_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "indexer/base/clock.h"
#include "indexer/base/memory_budget.h"
#include "router/audit/usage_reader.h"
#include "router/edge/ext_proc/endpoint_picker.h"
#include "router/edge/ext_proc/picker_state.h"
#include "router/edge/ext_proc/proxy_message.h"
#include "router/edge/ext_proc/reply.h"
#include "router/prompt/renderer.h"

namespace kvroute {

// What a stream needs of whoever serves it: a border, so that the stream knows no sockets.
class PickerHost {
 public:
  // Sends a reply, in order; its views are good during the call only.
  virtual void Send(const Reply& reply) = 0;
  // Keeps a part of the message that is being handled until Release; where it lies from now on.
  virtual std::string_view Keep(std::string_view part) = 0;
  virtual void Release() = 0;
  // Begins to read a body, in pieces that are kept, on another thread: OnBodyRead is called later,
  // on the stream's. False: there is none for it.
  virtual bool ReadElsewhere(const RequestHeaders& headers,
                             absl::Span<const std::string_view> pieces) = 0;
  // OnBodyRead of what was begun is not called any more.
  virtual void LeaveReading() = 0;
  // What a body was rendered to a moment ago; nullptr: it is to be rendered.
  virtual std::shared_ptr<const RenderedPrompt> Recall(const RequestBody& body,
                                                       const PaddedText& text,
                                                       std::string_view model) = 0;
  // Begins to render a body: OnRendered is called later, on the stream's thread. False: there is no
  // renderer.
  virtual bool Render(const RequestBody& body, const PaddedText& text, std::string_view model,
                      Nanos deadline) = 0;
  // OnRendered of what was begun is not called any more.
  virtual void CancelRender() = 0;

 protected:
  ~PickerHost() = default;
};

// One HTTP request at the endpoint picker, from its headers to the end of its response: what is
// answered when, what is held, when it is picked for, and what becomes of the lease. Without
// sockets and protobuf. What it does is looked up in the tables of picker_state.h.
//
// Thread safety: one thread, the picker's event loop. Ownership: picker and host outlive it.
class PickerStream {
 public:
  PickerStream(EndpointPicker* picker, PickerHost* host, const ClientId& client);
  ~PickerStream();
  PickerStream(const PickerStream&) = delete;
  PickerStream& operator=(const PickerStream&) = delete;

  // More streams are open than may be: the request is refused.
  void RefuseForRoom() { no_room_ = true; }
  // The next message of the proxy.
  void OnMessage(const ProxyMessage& message);
  void OnBodyRead(const BodyText& read);
  void OnRendered(RenderedPrompt prompt);
  // Time passes: to be called every kTickEvery or so.
  void OnTick(Nanos now);
  // The proxy has ended the stream, or gone. Nothing may come afterwards.
  void OnClosed();

  PickerState state() const { return state_; }
  ResponseState response_state() const { return response_; }
  // The proxy wants no answer: the stream may be closed. Any other is left to the proxy to close:
  // what is in flight would be lost.
  bool done() const { return state_ == PickerState::kWatching; }
  // Replies only follow messages from here on: nothing is sent that the proxy did not ask for.
  bool only_answers() const {
    return state_ > PickerState::kPickingTrailers && state_ != PickerState::kWatching;
  }
  // For tests: counts in `visits`, which outlives the stream, from here on.
  void CountVisits(PickerVisits* visits) { visits_ = visits; }

  static constexpr std::chrono::milliseconds kTickEvery{100};

 private:
  struct Step {
    PickerState state;
    PickerInput input;
  };

  // picker_stream.cc: what comes, and what is done about it.
  void Learn(const ProxyMessage& message);
  void OnRequest(const ProxyMessage& message);
  PickerInput JudgeHeaders(const ProxyMessage& message) const;
  PickerInput JudgeBody(const ProxyMessage& message);
  bool Keep(std::string_view piece);
  void FreeBody();
  void React(PickerInput input, const ProxyMessage* message = nullptr);
  void Enter(PickerState next);
  void Hold(const ProxyMessage& message);
  void End();
  bool EndIsTold() const;
  void EndLease();

  // picker_stream_pick.cc: where the request goes.
  void BeginPick(Reply::Kind told_in, PickerState after);
  void PickBlind(const ProxyMessage& message);
  void PickByBody(const ProxyMessage& message);
  void ReadBody(bool cut);
  void PickByBodyText(const BodyText& read);
  Nanos PickDeadline() const;
  void PickRendered(const RenderedPrompt& prompt);
  void StopWaiting(const ProxyMessage* message);
  void PickByLoad(NoPrompt why);
  void Conclude(std::optional<Refusal> refusal);
  void Tell();
  void TakeHeaders(const ProxyMessage& message);
  void LeaveModel();
  void NoteRewrite(const BodyText& read);
  std::vector<std::string_view> Rewritten(std::string_view model) const;
  void AnswerHeldPieces(std::string_view model);

  // picker_stream_response.cc: what is passed through, and the response.
  void Pass(Reply::Kind kind, BodyMode mode, const ProxyMessage& message);
  void SendBody(Reply::Kind kind, absl::Span<const std::string_view> pieces, bool end_of_stream);
  void OnResponse(const ProxyMessage& message);
  ResponseInput JudgeResponse(const ProxyMessage& message) const;
  void BeginUsage(const ResponseHeaders& headers, bool end_of_stream);
  void ReadUsage(std::string_view piece);
  AnswerUsage TakeUsage();
  void AnswerResponse(const ProxyMessage& message);
  void Answer(Reply::Kind kind) { host_->Send({.kind = kind}); }

  bool IsBuffered() const {
    return modes_.request == BodyMode::kBuffered || modes_.request == BodyMode::kBufferedPartial;
  }
  PickFor For() const { return {&headers_, subset_, restricted_, client_}; }

  EndpointPicker* const picker_;
  PickerHost* const host_;
  const ClientId client_;
  PickerState state_ = PickerState::kNew;
  Step step_{};  // what is being reacted to
  ResponseState response_ = ResponseState::kAwaited;
  PickerVisits* visits_ = nullptr;
  bool no_room_ = false;
  bool learned_ = false;  // what the first message says

  BodyModes modes_;
  RequestHeaders headers_;
  std::vector<Endpoint> subset_;
  bool restricted_ = false;
  std::vector<std::string_view>
      pieces_;              // of the body, which the host keeps; STREAMED: its messages
  size_t body_bytes_ = 0;   // together
  MemoryShare memory_;      // for them
  size_t owed_pieces_ = 0;  // of a body in STREAMED that is held

  // Of a pick under way: what was held for it, which message tells it, how the request stands
  // afterwards.
  PickerState held_in_ = PickerState::kNew;
  Reply::Kind told_in_ = Reply::Kind::kRequestHeaders;
  PickerState after_pick_ = PickerState::kSent;
  BodyTerms terms_;
  std::optional<Refusal> refusal_;
  bool cut_ = false;      // the body's end may be missing, which is not the client's fault
  bool reading_ = false;  // elsewhere
  bool rendering_ = false;
  Nanos deadline_ = Nanos::max();
  Nanos pick_began_{0};

  // Where the body names its model, if it is to name another; else rewrite_bytes_ is 0.
  size_t rewrite_at_ = 0;
  size_t rewrite_bytes_ = 0;

  Pick pick_;
  bool served_known_ = false;
  std::string served_;  // kept for the gateways' tests

  // What the response says that the engine served.
  std::unique_ptr<UsageReader> usage_;  // while it is read
  MemoryShare usage_memory_;            // for what that keeps
  UsageEnd no_usage_ = UsageEnd::kCut;  // why it is not
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_EXT_PROC_PICKER_STREAM_H_
