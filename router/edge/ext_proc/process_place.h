#ifndef KVROUTE_ROUTER_EDGE_EXT_PROC_PROCESS_PLACE_H_
#define KVROUTE_ROUTER_EDGE_EXT_PROC_PROCESS_PLACE_H_

#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/slice.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kvroute/envoy/external_processor.grpc.pb.h"
#include "router/edge/ext_proc/picker_stream.h"
#include "router/edge/grpc_base/served_call.h"
#include "router/edge/grpc_base/stream_exchange.h"

namespace kvroute {

using ProcessorService = envoy::service::ext_proc::v3::ExternalProcessor;
using ProcessMethods = ProcessorService::WithRawMethod_Process<ProcessorService::Service>;

// What the streams of one picker share.
struct ProcessParts {
  ProcessMethods* service = nullptr;
  EndpointPicker* picker = nullptr;
  PromptRenderer* renderer = nullptr;  // nullptr: none
  uint32_t max_streams = 0;
  size_t first_health_listener = 0;  // listeners from here on are for probes only
  EdgeParts edge;
};

// Serves ext_proc streams, one after the other: carries messages between gRPC and a PickerStream.
// The next message is read when all answers are given to gRPC, never earlier: of a proxy that does
// not read its answers, no more messages are read. It costs no thread, and idle about 2 KB besides
// gRPC's own.
//
// Thread safety: as EventLoop, but for the render's callback. Ownership: the parts outlive it.
class ProcessPlace final : public CallPlace, private PickerHost {
 public:
  ProcessPlace(CallPlaces* places, const ProcessParts& parts)
      : places_(places), parts_(parts), call_(parts.edge) {}

  void Await() override;
  void Turn() override;

 private:
  // A long body that is read on another thread; it keeps the pieces itself.
  struct LongRead final : public LongTask {
    explicit LongRead(Worked* tells) : worked(tells) {}
    void Run() override {
      read.Read(headers, pieces);
      worked->Tell();
    }

    Worked* const worked;
    RequestHeaders headers;
    std::vector<std::string_view> pieces;
    std::vector<grpc::Slice> kept;
    BodyText read;
    bool left = false;  // nobody waits for it any more
  };

  using Stream = grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;

  void Send(const Reply& reply) override;
  std::string_view Keep(std::string_view part) override;
  void Release() override { kept_.clear(); }
  bool ReadElsewhere(const RequestHeaders& headers,
                     absl::Span<const std::string_view> pieces) override;
  void LeaveReading() override { reads_->left = true; }
  std::shared_ptr<const RenderedPrompt> Recall(const RequestBody& body, const PaddedText& text,
                                               std::string_view model) override;
  bool Render(const RequestBody& body, const PaddedText& text, std::string_view model,
              Nanos deadline) override;
  void CancelRender() override;

  void OnCall(bool ok);
  void OnRead(bool ok);
  void OnWrite(bool ok);
  void OnExchange(bool ok);
  void OnBodyRead(bool ok);
  void OnRendered(bool ok);
  void OnFinish(bool ok);

  void Take();
  grpc::ByteBuffer BytesOf(const Reply& reply) const;
  grpc::Slice SliceOf(std::string_view part, size_t* kept) const;
  void Close(const grpc::Status& status);
  void Advance();
  void Write();
  void Event();  // another one of the call's has come; the last one frees the place

  CallPlaces* const places_;
  const ProcessParts& parts_;
  ServedCall call_;
  std::optional<PickerStream> request_;
  std::vector<grpc::ByteBuffer> out_;  // from out_begin_ on: to be sent, in order
  size_t out_begin_ = 0;
  grpc::ByteBuffer in_;
  grpc::Slice message_;            // that is being handled
  bool message_is_alone_ = false;  // in its memory
  std::vector<grpc::Slice> kept_;  // bodies or messages, in the order in which they came
  uint32_t events_to_come_ = 0;
  bool reading_ = false;
  bool writing_ = false;
  bool began_writing_ = false;  // gRPC has sent the stream's initial metadata
  bool closing_ = false;
  bool finishing_ = false;
  std::unique_ptr<LongRead> reads_;
  std::optional<RenderTicket> render_;
  RenderedPrompt rendered_;  // by the renderer's thread, before it tells
  grpc::Status status_;
  EventOf<ProcessPlace, &ProcessPlace::OnCall> on_call_{this};
  EventOf<ProcessPlace, &ProcessPlace::OnRead> on_read_{this};
  EventOf<ProcessPlace, &ProcessPlace::OnWrite> on_write_{this};
  EventOf<ProcessPlace, &ProcessPlace::OnExchange> on_exchange_{this};
  EventOf<ProcessPlace, &ProcessPlace::OnBodyRead> on_body_read_{this};
  EventOf<ProcessPlace, &ProcessPlace::OnRendered> on_rendered_{this};
  EventOf<ProcessPlace, &ProcessPlace::OnFinish> on_finish_{this};
  Worked body_read_{parts_.edge.loop, &on_body_read_};
  Worked worked_{parts_.edge.loop, &on_rendered_};
  std::optional<grpc::ServerContext> context_;
  std::optional<Stream> stream_;
  std::optional<StreamExchange> exchange_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_EXT_PROC_PROCESS_PLACE_H_
