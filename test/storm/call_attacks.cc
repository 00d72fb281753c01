#include <grpcpp/grpcpp.h>

#include <array>
#include <atomic>

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "kvroute/v1/fleet.grpc.pb.h"
#include "kvroute/v1/router.grpc.pb.h"
#include "test/storm/attack.h"

namespace kvroute {
namespace {

constexpr std::chrono::seconds kCallTime{5};
constexpr char kFleetModel[] = "chaos";  // the normal fleet's: an attack on what others use

// A connection of an attacker's own, so that what is done to it is done to nobody else.
class CallAttack : public Attack {
 public:
  CallAttack(const AttackedServer& server, std::string_view name) : server_(server), name_(name) {}
  std::string_view name() const override { return name_; }

  void Strike(std::mt19937_64* random) final {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(-1);
    const auto channel = grpc::CreateCustomChannel(server_.grpc_address,
                                                   grpc::InsecureChannelCredentials(), arguments);
    router_ = v1::Router::NewStub(channel);
    fleet_ = v1::Fleet::NewStub(channel);
    health_ = grpc::health::v1::Health::NewStub(channel);
    Call(random);
    router_.reset();
    fleet_.reset();
    health_.reset();
  }

 protected:
  virtual void Call(std::mt19937_64* random) = 0;
  static void Limit(grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() + kCallTime);
  }

  const AttackedServer server_;
  std::unique_ptr<v1::Router::Stub> router_;
  std::unique_ptr<v1::Fleet::Stub> fleet_;
  std::unique_ptr<grpc::health::v1::Health::Stub> health_;

 private:
  const std::string_view name_;
};

// Requests that never end: each is a lease.
class EndlessLeases : public CallAttack {
 public:
  using CallAttack::CallAttack;

 private:
  void Call(std::mt19937_64* random) override {
    for (int i = 0; i < 1'000; ++i) {
      grpc::ClientContext context;
      Limit(&context);
      v1::RouteRequest request;
      v1::RouteResponse response;
      request.set_model(kFleetModel);
      request.mutable_prompt()->add_token_ids(static_cast<uint32_t>((*random)()));
      if (!router_->Route(&context, request, &response).ok()) return;
    }
  }
};

// Ends leases that are not its own, by guessing.
class ForeignLeases : public CallAttack {
 public:
  using CallAttack::CallAttack;

 private:
  void Call(std::mt19937_64* random) override {
    for (int i = 0; i < 300; ++i) {
      grpc::ClientContext context;
      Limit(&context);
      v1::CompleteRequest request;
      v1::CompleteResponse response;
      request.set_request_id(absl::StrCat((*random)() % 100'000));
      (void)router_->Complete(&context, request, &response);
    }
  }
};

class LongPrompts : public CallAttack {
 public:
  using CallAttack::CallAttack;

 private:
  void Call(std::mt19937_64* random) override {
    v1::ScoreRequest request;
    request.set_model(kFleetModel);
    request.mutable_prompt()->mutable_token_ids()->Resize(1'000'000 + (*random)() % 8'000'000, 7);
    for (int i = 0; i < 3; ++i) {
      grpc::ClientContext context;
      Limit(&context);
      if (i == 2) context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
      v1::ScoreResponse response;
      (void)router_->Score(&context, request, &response);
    }
  }
};

// Many streams at once: idle ones, or such as ask and never read.
class Streams : public CallAttack {
 public:
  Streams(const AttackedServer& server, std::string_view name, int count, int requests)
      : CallAttack(server, name), count_(count), requests_(requests) {}

 private:
  void Call(std::mt19937_64* random) override {
    using Stream = grpc::ClientReaderWriter<v1::RouteRequest, v1::RouteStreamResponse>;
    std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
    std::vector<std::unique_ptr<Stream>> streams;
    v1::RouteRequest request;
    request.set_model("storm-no-such-model");  // an answer with an error, and no lease
    request.mutable_prompt()->mutable_token_ids()->Resize(64 + (*random)() % 2'000, 7);
    for (int i = 0; i < count_; ++i) {
      contexts.push_back(std::make_unique<grpc::ClientContext>());
      Limit(contexts.back().get());
      streams.push_back(router_->RouteStream(contexts.back().get()));
      for (int sent = 0; sent < requests_ && streams.back()->Write(request); ++sent) {
      }
    }
    server_.hold();
    for (const auto& context : contexts) context->TryCancel();
    for (const auto& stream : streams) (void)stream->Finish();
  }

  const int count_;
  const int requests_;
};

// What every gateway with client-side health checking does, many times over.
class Watchers : public CallAttack {
 public:
  using CallAttack::CallAttack;

 private:
  void Call(std::mt19937_64*) override {
    std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
    std::vector<std::unique_ptr<grpc::ClientReader<grpc::health::v1::HealthCheckResponse>>> watches;
    for (int i = 0; i < 100; ++i) {
      contexts.push_back(std::make_unique<grpc::ClientContext>());
      Limit(contexts.back().get());
      watches.push_back(health_->Watch(contexts.back().get(), {}));
    }
    server_.hold();
    for (const auto& context : contexts) context->TryCancel();
    for (const auto& watch : watches) (void)watch->Finish();
  }
};

// Deadlines that have passed, or come in centuries.
class WildDeadlines : public CallAttack {
 public:
  using CallAttack::CallAttack;

 private:
  void Call(std::mt19937_64* random) override {
    for (int i = 0; i < 200; ++i) {
      grpc::ClientContext context;
      const int64_t hours = static_cast<int64_t>((*random)() % 5) * 640'000 - 1;
      context.set_deadline(
          gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_hours(hours, GPR_TIMESPAN)));
      v1::ScoreRequest request;
      v1::ScoreResponse response;
      request.set_model("storm-no-such-model");
      (void)router_->Score(&context, request, &response);
    }
  }
};

// More workers than there are descriptors.
class ManyWorkers : public CallAttack {
 public:
  ManyWorkers(const AttackedServer& server, std::string_view name, std::string prefix)
      : CallAttack(server, name), prefix_(std::move(prefix)) {}

 private:
  static constexpr int kWorkers = 300;

  void Call(std::mt19937_64*) override {
    int registered = 0;
    for (; registered < kWorkers; ++registered) {
      v1::RegisterRequest request;
      v1::Worker& worker = *request.mutable_worker();
      worker.set_worker_id(absl::StrCat(prefix_, registered));
      worker.set_address("http://storm");
      worker.set_model("storm-many");
      worker.set_event_endpoint(absl::StrCat("tcp://127.0.0.1:", 10 + registered));
      grpc::ClientContext context;
      Limit(&context);
      v1::RegisterResponse response;
      if (!fleet_->Register(&context, request, &response).ok()) break;
    }
    server_.hold();
    for (int i = 0; i < registered; ++i) {
      v1::DeregisterRequest request;
      request.set_worker_id(absl::StrCat(prefix_, i));
      grpc::ClientContext context;
      Limit(&context);
      v1::DeregisterResponse response;
      (void)fleet_->Deregister(&context, request, &response);
    }
  }

  const std::string prefix_;
};

// Workers that nobody can connect to, and names that no worker should have; they go again.
class BadWorkers : public CallAttack {
 public:
  using CallAttack::CallAttack;

 private:
  void Call(std::mt19937_64* random) override {
    constexpr std::array<std::string_view, 7> kEndpoints = {
        "tcp://127.0.0.1:9", "tcp://no-such-host.invalid:5557",
        "tcp://localhost:9", "tcp://[::1]:9",
        "tcp://slow-a:5557", "tcp://slow-b:5557",
        "ipc:///nowhere"};
    constexpr std::array<std::string_view, 4> kNames = {"ok", "\x01\x1b[31m", "", "a\nb"};
    for (uint32_t i = 0; i < 40; ++i) {
      v1::RegisterRequest request;
      v1::Worker& worker = *request.mutable_worker();
      worker.set_worker_id(absl::StrCat("storm-", (*random)() % 50));
      worker.set_address("http://storm");
      worker.set_model("storm" + std::string(kNames[(*random)() % kNames.size()]));
      worker.set_event_endpoint(std::string(kEndpoints[(*random)() % kEndpoints.size()]));
      worker.set_block_size_tokens(static_cast<uint32_t>((*random)() % 3 == 0 ? (*random)() : 16));
      worker.set_data_parallel_size(static_cast<uint32_t>((*random)() % 8));
      grpc::ClientContext context;
      Limit(&context);
      v1::RegisterResponse response;
      (void)fleet_->Register(&context, request, &response);
    }
    server_.hold();
    for (int i = 0; i < 50; ++i) {
      v1::DeregisterRequest request;
      request.set_worker_id(absl::StrCat("storm-", i));
      grpc::ClientContext context;
      Limit(&context);
      v1::DeregisterResponse response;
      (void)fleet_->Deregister(&context, request, &response);
    }
  }
};

}  // namespace

void AddCallAttacks(const AttackedServer& server, const std::string& worker_id, Attacks* attacks) {
  attacks->push_back(std::make_unique<EndlessLeases>(server, "endless leases"));
  attacks->push_back(std::make_unique<ForeignLeases>(server, "foreign leases"));
  attacks->push_back(std::make_unique<LongPrompts>(server, "long prompts"));
  attacks->push_back(std::make_unique<Streams>(server, "idle streams", 200, 0));
  attacks->push_back(std::make_unique<Streams>(server, "unread streams", 20, 500));
  attacks->push_back(std::make_unique<Watchers>(server, "watchers"));
  attacks->push_back(std::make_unique<BadWorkers>(server, "bad workers"));
  attacks->push_back(std::make_unique<WildDeadlines>(server, "wild deadlines"));
  attacks->push_back(std::make_unique<ManyWorkers>(server, "many workers", worker_id + "-many-"));
}

}  // namespace kvroute
