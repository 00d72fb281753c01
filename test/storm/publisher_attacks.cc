#include <zmq.h>

#include <array>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"
#include "test/storm/attack.h"
#include "test/support/wire_builder.h"
#include "tools/client/api_client.h"
#include "tools/publisher/zmq_publisher.h"

namespace kvroute {
namespace {

// A socket that publishes whatever it is told.
class RawPublisher {
 public:
  using Options = std::vector<std::pair<int, int>>;
  explicit RawPublisher(const Options& options) : socket_(zmq_socket(context_.get(), ZMQ_PUB)) {
    const int none = 0;
    zmq_setsockopt(socket_, ZMQ_LINGER, &none, sizeof(none));
    for (const auto& [option, value] : options) {
      KVROUTE_CHECK(zmq_setsockopt(socket_, option, &value, sizeof(value)) == 0);
    }
  }
  ~RawPublisher() { zmq_close(socket_); }

  std::string Bind() {
    std::array<char, 256> endpoint{};
    size_t size = endpoint.size();
    KVROUTE_CHECK(zmq_bind(socket_, "tcp://127.0.0.1:*") == 0);
    KVROUTE_CHECK(zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, endpoint.data(), &size) == 0);
    return endpoint.data();
  }
  void Connect(const std::string& endpoint) { zmq_connect(socket_, endpoint.c_str()); }
  void Send(const std::vector<std::string>& frames) {
    for (size_t i = 0; i < frames.size(); ++i) {
      const int more = i + 1 < frames.size() ? ZMQ_SNDMORE : 0;
      zmq_send(socket_, frames[i].data(), frames[i].size(), more | ZMQ_DONTWAIT);
    }
  }

 private:
  ZmqContext context_;
  void* const socket_;
};

class PublisherAttack : public Attack {
 public:
  PublisherAttack(const AttackedServer& server, const std::string& worker_id, std::string_view name)
      : server_(server), worker_id_(worker_id), name_(name) {}
  std::string_view name() const override { return name_; }

 protected:
  v1::Worker Worker(const std::string& id, const std::string& endpoint) const {
    v1::Worker worker;
    worker.set_worker_id(id);
    worker.set_address("http://storm");
    worker.set_model("storm");
    worker.set_event_endpoint(endpoint);
    return worker;
  }

  const AttackedServer server_;
  const std::string worker_id_;

 private:
  const std::string_view name_;
};

// Frames of other counts, widths and order than a batch has.
class WildFrames : public PublisherAttack {
 public:
  using PublisherAttack::PublisherAttack;

  void Strike(std::mt19937_64* random) override {
    RawPublisher publisher({});
    const ApiClient api(server_.grpc_address, std::chrono::milliseconds(5'000));
    (void)api.Register(Worker(worker_id_, publisher.Bind()));
    server_.hold();
    for (int i = 0; i < 500; ++i) {
      std::vector<std::string> frames((*random)() % 7 + 1);
      for (std::string& frame : frames) frame = RandomBytes(random, (*random)() % 31);
      publisher.Send(frames);
    }
    server_.hold();
    (void)api.Deregister(worker_id_);
  }
};

// Publishes more than is read, and says that it is dead when it has not been heard for a moment:
// its connections end while there is no room for what they bring.
class ShortLived : public PublisherAttack {
 public:
  using PublisherAttack::PublisherAttack;

  void Strike(std::mt19937_64* random) override {
    RawPublisher publisher(
        {{ZMQ_HEARTBEAT_IVL, 100}, {ZMQ_HEARTBEAT_TTL, 100}, {ZMQ_HEARTBEAT_TIMEOUT, 100}});
    const ApiClient api(server_.grpc_address, std::chrono::milliseconds(5'000));
    (void)api.Register(Worker(worker_id_, publisher.Bind()));
    server_.hold();
    const std::string batch = wire::Batch(std::vector<std::string>(2'000, wire::StoredMap()));
    for (uint64_t seq = (*random)() % 2; seq < 300; ++seq) {
      publisher.Send({"", wire::BigEndian(seq, 8), batch});
    }
    server_.hold();
    (void)api.Deregister(worker_id_);
  }
};

// Comes to the listener under names that no worker should have, or that no name server knows.
class WildTopics : public PublisherAttack {
 public:
  using PublisherAttack::PublisherAttack;

  void Strike(std::mt19937_64* random) override {
    constexpr std::array<std::string_view, 5> kHosts = {"127.0.0.1", "slow-pod", "no-such.invalid",
                                                        "[::1]", "\x1b[31m"};
    RawPublisher publisher({});
    publisher.Connect(server_.listener);
    server_.hold();
    for (int i = 0; i < 60; ++i) {
      const std::string host(kHosts[(*random)() % kHosts.size()]);
      std::string topic = absl::StrCat("kv@", host, ":", (*random)() % 100, "@storm-topics");
      if ((*random)() % 4 == 0) topic = "kv@" + RandomBytes(random, (*random)() % 301);
      publisher.Send(
          {topic, wire::BigEndian((*random)() % 3, 8), wire::Batch({wire::StoredMap()})});
    }
    server_.hold();
  }
};

// Engines with full replay buffers that all come at once, as after a start of kvroute. Every third
// time they are killed in the middle of it.
class ColdStart : public PublisherAttack {
 public:
  using PublisherAttack::PublisherAttack;

  void Strike(std::mt19937_64* random) override {
    constexpr int kEngines = 6, kBatches = 1'000;
    ZmqContext context;
    const ApiClient api(server_.grpc_address, std::chrono::milliseconds(5'000));
    std::vector<std::unique_ptr<ZmqPublisher>> engines;
    for (int i = 0; i < kEngines; ++i) {
      auto engine = ZmqPublisher::Create(&context, {});
      KVROUTE_CHECK(engine.ok());
      for (int batch = 0; batch < kBatches; ++batch) {
        (*engine)->Publish(
            wire::Batch({wire::StoredMap({{"block_hashes", wire::Hashes({(*random)()})}})}));
      }
      v1::Worker worker = Worker(absl::StrCat(worker_id_, "-", i), (*engine)->event_endpoint());
      worker.set_replay_endpoint((*engine)->replay_endpoint());
      (void)api.Register(worker);
      engines.push_back(*std::move(engine));
    }
    for (int turn = 0; turn < 10; ++turn) {
      for (const auto& engine : engines) engine->Serve(std::chrono::milliseconds(5));
    }
    if ((*random)() % 3 == 0) engines.clear();
    server_.hold();
    for (int i = 0; i < kEngines; ++i) (void)api.Deregister(absl::StrCat(worker_id_, "-", i));
  }
};

}  // namespace

void AddPublisherAttacks(const AttackedServer& server, const std::string& worker_id,
                         Attacks* attacks) {
  attacks->push_back(std::make_unique<WildFrames>(server, worker_id, "wild frames"));
  attacks->push_back(std::make_unique<ShortLived>(server, worker_id, "short-lived connections"));
  attacks->push_back(std::make_unique<WildTopics>(server, worker_id, "wild topics"));
  attacks->push_back(std::make_unique<ColdStart>(server, worker_id, "cold starts"));
}

}  // namespace kvroute
