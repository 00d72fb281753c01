#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_STREAM_EXCHANGE_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_STREAM_EXCHANGE_H_

#include <grpcpp/completion_queue.h>
#include <grpcpp/impl/call.h>
#include <grpcpp/impl/call_op_set.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>

#include "indexer/base/check.h"

namespace kvroute {

// Sends a stream's answer and asks for the request after it as one batch of gRPC: one pass through
// its transport and one event, where a Write and a Read are two of each. grpcpp can do that in its
// `internal` namespace only, which is used nowhere else
// (docs/decisions/0010-an-answer-and-the-next-request-in-one-batch.md).
//
// Thread safety: one thread at a time. Ownership: the stream's context and queue must outlive it.
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
  // if one of them failed or no further request will come. One at a time.
  void Read(grpc::ByteBuffer* request, void* event) {
    batch_.RecvMessage(request);
    batch_.set_output_tag(event);
    batch_.FillOps(&call_);
  }
  // Of the last Read that happened: whether what was written before it has left.
  bool sent() const { return batch_.done(); }

 private:
  // Notes how the batch went before the read says that there is no further request.
  class Done {
   public:
    bool done() const { return done_; }

   protected:
    void AddOp(grpc_op*, size_t*) {}
    void FinishOp(bool* status) { done_ = *status; }
    void SetInterceptionHookPoint(grpc::internal::InterceptorBatchMethodsImpl*) {}
    void SetFinishInterceptionHookPoint(grpc::internal::InterceptorBatchMethodsImpl*) {}
    void SetHijackingState(grpc::internal::InterceptorBatchMethodsImpl*) {}

   private:
    bool done_ = true;
  };

  grpc::internal::Call call_;
  grpc::internal::CallOpSet<grpc::internal::CallOpSendMessage, Done,
                            grpc::internal::CallOpRecvMessage<grpc::ByteBuffer>>
      batch_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_STREAM_EXCHANGE_H_
