#include "test/benchmark/support/floor_picker.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/async_stream.h>

#include <cstring>
#include <optional>

#include "indexer/base/check.h"
#include "indexer/base/named_thread.h"
#include "kvroute/envoy/external_processor.grpc.pb.h"
#include "router/edge/ext_proc/proxy_message.h"
#include "router/edge/ext_proc/reply.h"

namespace kvroute {
namespace {

using Service = envoy::service::ext_proc::v3::ExternalProcessor;
using Methods = Service::WithRawMethod_Process<Service::Service>;

constexpr int kMaxMessageBytes = 64 << 20;
constexpr size_t kMaxPieceBytes = 62'000;  // that proxies take back at a time

grpc::ByteBuffer BytesOf(const Reply& reply) {
  std::string head;
  WriteReplyHead(reply, &head);
  const std::string_view parts[] = {head, reply.body.empty() ? std::string_view() : reply.body[0],
                                    ReplyTail(reply)};
  size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  grpc_slice slice = grpc_slice_malloc(size);
  uint8_t* to = GRPC_SLICE_START_PTR(slice);
  for (const std::string_view part : parts) {
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    to += part.size();
  }
  const grpc::Slice bytes(slice, grpc::Slice::STEAL_REF);
  return grpc::ByteBuffer(&bytes, 1);
}

}  // namespace

// What the streams share.
struct FloorPicker::Shared {
  Methods methods;
  std::unique_ptr<grpc::ServerCompletionQueue> queue;
  std::vector<Pick> picks;
  size_t next = 0;
  std::vector<Stream*> idle;  // done, to be used again
};

// One stream: a message is read, its answers are written, and the next one is read.
class FloorPicker::Stream {
 public:
  explicit Stream(Shared* shared) : shared_(shared) { Await(); }

  void Await() {
    stream_.reset();
    context_.emplace();
    stream_.emplace(&*context_);
    does_ = Does::kAwait;
    shared_->methods.RequestProcess(&*context_, &*stream_, shared_->queue.get(),
                                    shared_->queue.get(), this);
  }

  void Happened(bool ok) {
    switch (does_) {
      case Does::kAwait:
        if (!ok) return;
        if (shared_->idle.empty()) {
          new Stream(shared_);  // lives as long as the process
        } else {
          shared_->idle.back()->Await();
          shared_->idle.pop_back();
        }
        return Read();
      case Does::kRead:
        return ok ? Answer() : Finish();
      case Does::kWrite:
        return ok ? Next() : Finish();
      case Does::kFinish:
        return shared_->idle.push_back(this);
    }
  }

 private:
  enum class Does : uint8_t { kAwait, kRead, kWrite, kFinish };

  void Read() {
    does_ = Does::kRead;
    stream_->Read(&in_, this);
  }
  void Finish() {
    does_ = Does::kFinish;
    out_.clear();
    stream_->Finish(grpc::Status::OK, this);
  }
  void Next() {
    if (sent_ == out_.size()) return Read();
    does_ = Does::kWrite;
    stream_->Write(out_[sent_++], this);
  }

  void Answer() {
    grpc::Slice slice;
    ProxyMessage message;
    KVROUTE_CHECK(in_.TrySingleSlice(&slice).ok() || in_.DumpToSingleSlice(&slice).ok());
    KVROUTE_CHECK(
        ReadProxyMessage({reinterpret_cast<const char*>(slice.begin()), slice.size()}, &message));
    in_.Clear();
    out_.clear();
    sent_ = 0;
    switch (message.kind) {
      case ProxyMessageKind::kRequestHeaders:
        out_.push_back(BytesOf({.kind = Reply::Kind::kRequestHeaders,
                                .pick = &shared_->picks[shared_->next++ % shared_->picks.size()]}));
        break;
      case ProxyMessageKind::kRequestBody:
        Echo(Reply::Kind::kRequestBody, message);
        break;
      case ProxyMessageKind::kResponseHeaders:
        out_.push_back(BytesOf({.kind = Reply::Kind::kResponseHeaders}));
        break;
      case ProxyMessageKind::kResponseBody:
        Echo(Reply::Kind::kResponseBody, message);
        break;
      case ProxyMessageKind::kRequestTrailers:
        out_.push_back(BytesOf({.kind = Reply::Kind::kRequestTrailers}));
        break;
      case ProxyMessageKind::kResponseTrailers:
        out_.push_back(BytesOf({.kind = Reply::Kind::kResponseTrailers}));
        break;
      case ProxyMessageKind::kNone:
        break;
    }
    Next();
  }

  void Echo(Reply::Kind kind, const ProxyMessage& message) {
    std::string_view body = message.body;
    do {
      const std::string_view piece = body.substr(0, kMaxPieceBytes);
      body.remove_prefix(piece.size());
      out_.push_back(BytesOf({.kind = kind,
                              .form = BodyForm::kStreamed,
                              .body = absl::MakeConstSpan(&piece, 1),
                              .end_of_stream = message.end_of_stream && body.empty()}));
    } while (!body.empty());
  }

  Shared* const shared_;
  std::optional<grpc::ServerContext> context_;
  std::optional<grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>> stream_;
  grpc::ByteBuffer in_;
  std::vector<grpc::ByteBuffer> out_;
  size_t sent_ = 0;
  Does does_ = Does::kAwait;
};

class FloorPicker::Impl {
 public:
  explicit Impl(const std::vector<std::string>& endpoints) {
    for (const std::string& endpoint : endpoints) {
      shared_.picks.push_back({endpoint, std::nullopt, {}});
    }
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    builder.RegisterService(&shared_.methods);
    shared_.queue = builder.AddCompletionQueue();
    server_ = builder.BuildAndStart();
    KVROUTE_CHECK(server_ != nullptr && port_ != 0);
    new Stream(&shared_);
    thread_ = NamedThread("floor", [this] {
      void* tag = nullptr;
      bool ok = false;
      while (shared_.queue->Next(&tag, &ok)) static_cast<Stream*>(tag)->Happened(ok);
    });
  }

  int port() const { return port_; }

 private:
  Shared shared_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  NamedThread thread_;
};

FloorPicker::FloorPicker(const std::vector<std::string>& endpoints)
    : impl_(std::make_unique<Impl>(endpoints)) {}
FloorPicker::~FloorPicker() = default;
int FloorPicker::port() const { return impl_->port(); }

}  // namespace kvroute
