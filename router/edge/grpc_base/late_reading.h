#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_LATE_READING_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_LATE_READING_H_

#include <google/protobuf/descriptor.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/byte_buffer.h>

#include <string>
#include <string_view>

#include "indexer/base/check.h"

namespace kvroute {

// A unary call as gRPC serves it here: a stream of one request and one answer.
using UnaryStream = grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;

// A generated service whose unary methods are served as streams: on the wire they are the same, but
// a request is read when it is asked for. What gRPC serves as unary it reads at once, however long
// the request says it is and whether or not anybody awaits the call
// (docs/decisions/0049-a-request-is-read-when-there-is-room.md).
//
// Api is the generated class around the service; Generated the service, with its streams marked as
// raw.
//
// Thread safety: as the generated service's.
template <typename Api, typename Generated>
class LateReading : public Generated {
 public:
  // Of one of its methods.
  int IndexOf(std::string_view method) const {
    const auto* found = Descriptor()->FindMethodByName(std::string(method));
    KVROUTE_CHECK(found != nullptr);
    return found->index();
  }
  // Asks gRPC for a call, of which nothing has been read.
  void AwaitUnary(int index, grpc::ServerContext* context, UnaryStream* stream,
                  grpc::ServerCompletionQueue* queue, void* event) {
    this->RequestAsyncBidiStreaming(index, context, stream, queue, queue, event);
  }

 protected:
  LateReading() {
    for (int i = 0; i < Descriptor()->method_count(); ++i) {
      const auto* method = Descriptor()->method(i);
      if (method->client_streaming() || method->server_streaming()) continue;
      this->MarkMethodStreamed(i, nullptr);
      this->MarkMethodRaw(i);
    }
  }

 private:
  static const google::protobuf::ServiceDescriptor* Descriptor() {
    return google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
        Api::service_full_name());
  }
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_LATE_READING_H_
