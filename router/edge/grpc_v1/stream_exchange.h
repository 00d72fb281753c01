#ifndef KVROUTE_ROUTER_EDGE_GRPC_V1_STREAM_EXCHANGE_H_
#define KVROUTE_ROUTER_EDGE_GRPC_V1_STREAM_EXCHANGE_H_

#include <grpcpp/completion_queue.h>
#include <grpcpp/impl/call.h>
#include <grpcpp/impl/call_op_set.h>
#include <grpcpp/server_context.h>

#include "indexer/base/check.h"

namespace kvroute {

// Sends a stream's answer and asks for the request after it as one batch of gRPC: one pass through
// its transport and one event, where a Write and a Read are two of each. grpcpp can do that in its
// `internal` namespace only, which is used nowhere else
// (docs/decisions/0010-an-answer-and-the-next-request-in-one-batch.md).
//
// Thread safety: one thread. Ownership: the stream's context and queue must outlive it.
template <typename Request>
class StreamExchange {
 public:
  // The stream's initial metadata must have been sent.
  StreamExchange(grpc::ServerContext* context, grpc::CompletionQueue* queue)
      : call_(context->c_call(), nullptr, queue) {}
  StreamExchange(const StreamExchange&) = delete;
  StreamExchange& operator=(const StreamExchange&) = delete;

  // The answer is sent with the next Read; it has been serialized when this returns.
  template <typename Answer>
  void Write(const Answer& answer) {
    KVROUTE_CHECK(batch_.SendMessage(answer).ok());
  }
  // Sends what was written and reads the next request; `event` happens when both are done, not ok
  // if one of them failed or no further request will come. gRPC fills `request` on the queue's
  // thread just before the event. One at a time.
  void Read(Request* request, void* event) {
    batch_.RecvMessage(request);
    batch_.set_output_tag(event);
    batch_.FillOps(&call_);
  }

 private:
  grpc::internal::Call call_;
  grpc::internal::CallOpSet<grpc::internal::CallOpSendMessage,
                            grpc::internal::CallOpRecvMessage<Request>>
      batch_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_V1_STREAM_EXCHANGE_H_
