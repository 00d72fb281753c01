#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <optional>
#include <vector>

#include "indexer/base/check.h"
#include "indexer/base/named_thread.h"
#include "kvroute/v1/router.grpc.pb.h"
#include "test/benchmark/support/echo_server.h"

namespace kvroute {
namespace {

using AsyncService = v1::Router::AsyncService;

constexpr int kWaitingCalls = 64;  // a queue and method: more than a benchmark has in flight

// One place where a call of one method is waited for and served, again and again. Its tags are of
// one queue, and so of one thread.
class Call {
 public:
  virtual ~Call() = default;
  virtual void Proceed(bool ok) = 0;
};

class UnaryCall final : public Call {
 public:
  UnaryCall(AsyncService* service, grpc::ServerCompletionQueue* queue,
            const v1::RouteResponse* answer)
      : service_(service), queue_(queue), answer_(answer) {
    Await();
  }
  void Proceed(bool ok) override {
    if (finishing_) return Await();
    if (!ok) return;  // shutting down
    finishing_ = true;
    responder_->Finish(*answer_, grpc::Status::OK, this);
  }

 private:
  void Await() {
    finishing_ = false;
    responder_.reset();
    context_.emplace();
    responder_.emplace(&*context_);
    service_->RequestRoute(&*context_, &request_, &*responder_, queue_, queue_, this);
  }

  AsyncService* const service_;
  grpc::ServerCompletionQueue* const queue_;
  const v1::RouteResponse* const answer_;
  v1::RouteRequest request_;
  std::optional<grpc::ServerContext> context_;
  std::optional<grpc::ServerAsyncResponseWriter<v1::RouteResponse>> responder_;
  bool finishing_ = false;
};

class StreamCall final : public Call {
 public:
  StreamCall(AsyncService* service, grpc::ServerCompletionQueue* queue,
             const v1::RouteStreamResponse* answer)
      : service_(service), queue_(queue), answer_(answer) {
    Await();
  }
  void Proceed(bool ok) override {
    switch (doing_) {
      case Doing::kFinish:
        return Await();
      case Doing::kAwait:
        if (!ok) return;  // shutting down
        return Read();
      case Doing::kRead:
        if (!ok) return Finish();
        doing_ = Doing::kWrite;
        return stream_->Write(*answer_, this);
      case Doing::kWrite:
        return ok ? Read() : Finish();
    }
  }

 private:
  enum class Doing { kAwait, kRead, kWrite, kFinish };
  void Await() {
    doing_ = Doing::kAwait;
    stream_.reset();
    context_.emplace();
    stream_.emplace(&*context_);
    service_->RequestRouteStream(&*context_, &*stream_, queue_, queue_, this);
  }
  void Read() {
    doing_ = Doing::kRead;
    stream_->Read(&request_, this);
  }
  void Finish() {
    doing_ = Doing::kFinish;
    stream_->Finish(grpc::Status::OK, this);
  }

  AsyncService* const service_;
  grpc::ServerCompletionQueue* const queue_;
  const v1::RouteStreamResponse* const answer_;
  v1::RouteRequest request_;
  std::optional<grpc::ServerContext> context_;
  std::optional<grpc::ServerAsyncReaderWriter<v1::RouteStreamResponse, v1::RouteRequest>> stream_;
  Doing doing_ = Doing::kAwait;
};

class AsyncEcho final : public EchoServer {
 public:
  AsyncEcho(const v1::RouteResponse& answer, int threads) : answer_(answer) {
    *stream_answer_.mutable_response() = answer;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&service_);
    for (int i = 0; i < threads; ++i) queues_.push_back(builder.AddCompletionQueue());
    server_ = builder.BuildAndStart();
    KVROUTE_CHECK(server_ != nullptr && port_ != 0);
    for (const auto& queue : queues_) {
      for (int i = 0; i < kWaitingCalls; ++i) {
        calls_.push_back(std::make_unique<UnaryCall>(&service_, queue.get(), &answer_));
        calls_.push_back(std::make_unique<StreamCall>(&service_, queue.get(), &stream_answer_));
      }
      threads_.emplace_back("echo", [queue = queue.get()] {
        void* tag = nullptr;
        bool ok = false;
        while (queue->Next(&tag, &ok)) static_cast<Call*>(tag)->Proceed(ok);
      });
    }
  }

 private:
  const v1::RouteResponse answer_;
  v1::RouteStreamResponse stream_answer_;
  AsyncService service_;
  std::vector<std::unique_ptr<Call>> calls_;
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues_;
  std::unique_ptr<grpc::Server> server_;
  std::vector<NamedThread> threads_;
};

}  // namespace

std::unique_ptr<EchoServer> StartAsyncEcho(const v1::RouteResponse& answer, int threads) {
  return std::make_unique<AsyncEcho>(answer, threads);
}

}  // namespace kvroute
