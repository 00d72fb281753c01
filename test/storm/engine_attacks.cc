#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>

#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"
#include "test/storm/attack.h"
#include "test/support/wire_builder.h"
#include "tools/client/api_client.h"
#include "tools/publisher/zmq_publisher.h"

namespace kvroute {
namespace {

constexpr uint32_t kManyItems = 300'000;

// An array of `count` times the same item, whatever the count says of the item.
std::string Repeated(uint32_t count, std::string_view item) {
  std::string array = wire::Head(0xdd, count, 4);
  for (uint32_t i = 0; i < count; ++i) array.append(item);
  return array;
}

// Numbers `first`, `first + 1`, ... of 8 bytes each.
std::string Numbers(uint64_t first, uint32_t count) {
  std::string array = wire::Head(0xdd, count, 4);
  for (uint32_t i = 0; i < count; ++i) array += wire::Head(0xcf, first + i, 8);
  return array;
}

std::string StoredBlocksOfOneToken(uint64_t first_hash, uint32_t count) {
  return wire::StoredMap({{"block_hashes", Numbers(first_hash, count)},
                          {"token_ids", Repeated(count, wire::Uint(7))},
                          {"block_size", wire::Uint(1)}});
}

std::vector<std::string> PayloadsOf(const std::string& folder) {
  std::vector<std::string> payloads;
  for (const auto& entry : std::filesystem::directory_iterator("test/vectors/" + folder)) {
    if (entry.path().extension() != ".msgpack") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    payloads.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return payloads;
}

// A worker of a model of its own, whose engine publishes what an attack thinks of.
class EngineAttack : public Attack {
 public:
  EngineAttack(const AttackedServer& server, const std::string& worker_id, std::string_view name)
      : server_(server), worker_id_(worker_id), name_(name) {}
  std::string_view name() const override { return name_; }

  void Strike(std::mt19937_64* random) final {
    ZmqContext context;
    auto sockets = ZmqPublisher::Create(&context, {.buffer_steps = 200});
    KVROUTE_CHECK(sockets.ok());
    const ApiClient api(server_.grpc_address, std::chrono::milliseconds(5'000));
    v1::Worker worker;
    worker.set_worker_id(worker_id_);
    worker.set_address("http://storm");
    worker.set_model("storm");
    worker.set_event_endpoint((*sockets)->event_endpoint());
    worker.set_replay_endpoint((*sockets)->replay_endpoint());
    // Refused or not heard: then nobody hears what follows either.
    (void)api.Register(worker);
    Publish(random, sockets->get());
    for (int i = 0; i < 20; ++i) (*sockets)->Serve(std::chrono::milliseconds(10));
    if ((*random)() % 3 == 0) sockets->reset();  // killed
    server_.hold();
    (void)api.Deregister(worker_id_);
  }

 protected:
  virtual void Publish(std::mt19937_64* random, ZmqPublisher* sockets) = 0;

 private:
  const AttackedServer server_;
  const std::string worker_id_;
  const std::string_view name_;
};

class DamagedPayloads : public EngineAttack {
 public:
  using EngineAttack::EngineAttack;

 private:
  void Publish(std::mt19937_64* random, ZmqPublisher* sockets) override {
    std::vector<std::string> payloads = PayloadsOf("malformed");
    for (std::string& payload : PayloadsOf("reported")) payloads.push_back(std::move(payload));
    for (int i = 0; i < 300; ++i) {
      std::string payload = payloads[(*random)() % payloads.size()];
      for (uint64_t bit = (*random)() % 4; bit > 0 && !payload.empty(); --bit) {
        payload[(*random)() % payload.size()] ^= static_cast<char>(1 << (*random)() % 8);
      }
      if ((*random)() % 4 == 0) payload.resize((*random)() % (payload.size() + 1));
      sockets->Publish(payload);
      if (i % 20 == 0) sockets->Serve();
    }
  }
};

// Few bytes that would be much memory.
class SwellingPayloads : public EngineAttack {
 public:
  using EngineAttack::EngineAttack;

 private:
  void Publish(std::mt19937_64* random, ZmqPublisher* sockets) override {
    const std::string nils = Repeated(kManyItems, wire::kNil);
    for (const char* field : {"extra_keys", "token_ids", "block_hashes", "lora_name", "medium"}) {
      sockets->Publish(wire::Batch({wire::StoredMap({{field, nils}})}));
    }
    sockets->Publish(wire::Batch({wire::StoredMap({{"extra_keys", Repeated(1, nils)}})}));
    sockets->Publish(wire::Array({wire::Double(1), Repeated(kManyItems, wire::kNil), wire::kNil}));
    sockets->Publish(wire::Batch({wire::StoredMap(
        {{"lora_name", wire::Str(std::string(4'000'000, static_cast<char>((*random)())))}})}));
  }
};

// An engine that stores and never removes.
class EndlessStores : public EngineAttack {
 public:
  using EngineAttack::EngineAttack;

 private:
  void Publish(std::mt19937_64* random, ZmqPublisher* sockets) override {
    for (int batch = 0; batch < 10; ++batch) {
      sockets->Publish(wire::Batch({StoredBlocksOfOneToken((*random)(), kManyItems)}));
      sockets->Serve();
    }
  }
};

// Stores whose parents never come, then removals of what waits; the same hash again and again.
class WaitingForever : public EngineAttack {
 public:
  using EngineAttack::EngineAttack;

 private:
  void Publish(std::mt19937_64* random, ZmqPublisher* sockets) override {
    const uint64_t hash = (*random)();
    std::vector<std::string> orphans;
    for (uint64_t i = 0; i < 20'000; ++i) {
      orphans.push_back(wire::StoredMap({{"block_hashes", wire::Hashes({hash})},
                                         {"parent_block_hash", wire::Uint((*random)() >> 1)}}));
    }
    sockets->Publish(wire::Batch(orphans));
    sockets->Publish(
        wire::Batch({wire::Map({{"type", wire::Str("BlockRemoved")},
                                {"block_hashes", Repeated(100'000, wire::Uint(hash))}})}));
  }
};

// Times and numbers at the ends of their ranges, and numbers that go back.
class WildNumbers : public EngineAttack {
 public:
  using EngineAttack::EngineAttack;

 private:
  void Publish(std::mt19937_64* random, ZmqPublisher* sockets) override {
    for (const double seconds : {0.0, -1e300, 1e300, std::numeric_limits<double>::quiet_NaN(),
                                 std::numeric_limits<double>::infinity()}) {
      sockets->Publish(
          wire::Array({wire::Double(seconds), wire::Array({wire::StoredMap()}), wire::Uint(0)}));
    }
    sockets->faults().lose = 1 + (*random)() % 1'000;
    sockets->Publish(wire::Batch({wire::StoredMap()}));
    if ((*random)() % 2 == 0) sockets->RestartNumbers();
    for (int i = 0; i < 50; ++i) sockets->Publish(wire::Batch({wire::Removed((*random)())}));
  }
};

}  // namespace

void AddEngineAttacks(const AttackedServer& server, const std::string& worker_id,
                      Attacks* attacks) {
  attacks->push_back(std::make_unique<DamagedPayloads>(server, worker_id, "damaged payloads"));
  attacks->push_back(std::make_unique<SwellingPayloads>(server, worker_id, "swelling payloads"));
  attacks->push_back(std::make_unique<EndlessStores>(server, worker_id, "endless stores"));
  attacks->push_back(std::make_unique<WaitingForever>(server, worker_id, "waiting forever"));
  attacks->push_back(std::make_unique<WildNumbers>(server, worker_id, "wild numbers"));
}

}  // namespace kvroute
