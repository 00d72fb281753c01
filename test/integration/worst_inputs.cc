#include "test/integration/worst_inputs.h"

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"
#include "test/integration/half_messages.h"
#include "test/support/http2_connection.h"
#include "test/support/raw_connection.h"
#include "test/support/wire_builder.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using testing_support::HalfMessages;
using testing_support::Http2Connection;
using testing_support::RawConnection;

constexpr milliseconds kPatience{500};
constexpr std::string_view kScore = "/kvroute.v1.Router/Score";

// An array of `count` times the same item.
std::string Repeated(uint32_t count, std::string_view item) {
  std::string array = wire::Head(0xdd, count, 4);
  for (uint32_t i = 0; i < count; ++i) array.append(item);
  return array;
}

// Blocks of one token whose hashes and tokens nobody has had before.
std::string NewBlocks(uint64_t first, uint32_t count, const std::string& parent = wire::kNil) {
  std::string hashes = wire::Head(0xdd, count, 4);
  std::string tokens = hashes;
  for (uint32_t i = 0; i < count; ++i) {
    hashes += wire::Head(0xcf, (first + i + 1) * 0x9e3779b97f4a7c15u, 8);
    tokens += wire::Head(0xce, static_cast<uint32_t>(first + i), 4);
  }
  return wire::StoredMap({{"block_hashes", hashes},
                          {"parent_block_hash", parent},
                          {"token_ids", tokens},
                          {"block_size", wire::Uint(1)}});
}

// Connections that are kept until they have the places of others.
template <typename Connection>
class Kept {
 public:
  explicit Kept(size_t count) : kept_(count) {}
  void Add(std::optional<Connection> connection) {
    kept_[next_].reset();
    if (connection.has_value()) kept_[next_].emplace(*std::move(connection));
    next_ = (next_ + 1) % kept_.size();
  }

 private:
  std::vector<std::optional<Connection>> kept_;
  size_t next_ = 0;
};

}  // namespace

WorstInputs::WorstInputs(const testing_support::ServerProcess* server)
    : server_(server), api_(server->grpc_address()) {}

void WorstInputs::Stop() {
  stop_ = true;
  threads_.clear();
}

void WorstInputs::Offer(const std::string& name, std::function<void()> once) {
  threads_.emplace_back(name, [this, once = std::move(once)] {
    while (!stop_) once();
  });
}

// An engine of its own that publishes what `next` makes. It answers no replay: where it has an
// endpoint for them, kvroute waits in vain.
void WorstInputs::OfferBatches(const std::string& name, bool has_replay,
                               std::function<std::string(ZmqPublisher*)> next) {
  auto created = ZmqPublisher::Create(&context_, {.buffer_steps = 1, .send_high_water_mark = 4});
  KVROUTE_CHECK(created.ok());
  const std::shared_ptr<ZmqPublisher> publisher = *std::move(created);
  publisher->faults().drop_replies = publisher->faults().drop_end_markers = UINT64_MAX;
  v1::Worker worker;
  worker.set_worker_id(name);
  worker.set_address("http://engine");
  worker.set_model("m");
  worker.set_event_endpoint(publisher->event_endpoint());
  if (has_replay) worker.set_replay_endpoint(publisher->replay_endpoint());
  KVROUTE_CHECK(api_.Register(worker).ok());
  Offer(name, [publisher, next = std::move(next)] {
    publisher->Publish(next(publisher.get()));
    publisher->Serve(milliseconds(2));  // paces it: what nobody can take yet is dropped
  });
}

void WorstInputs::Engines() {
  for (uint64_t engine = 0; engine < 2; ++engine) {
    auto first = std::make_shared<uint64_t>(engine << 40);
    OfferBatches(absl::StrCat("stores-", engine), false, [first](ZmqPublisher*) {
      return wire::Batch({NewBlocks(*first += 50'000, 50'000)});
    });
  }
  auto orphan = std::make_shared<uint64_t>(uint64_t{7} << 40);
  OfferBatches("orphans", false, [orphan](ZmqPublisher*) {
    std::vector<std::string> events;
    for (int i = 0; i < 500; ++i) {
      *orphan += 64;
      events.push_back(NewBlocks(*orphan, 32, wire::Uint(*orphan * 3)));
    }
    return wire::Batch(events);
  });
  auto held = std::make_shared<uint64_t>(uint64_t{9} << 40);
  OfferBatches("gaps", true, [held](ZmqPublisher* sockets) {
    if (*held % 1'600'000 == 0) sockets->faults().drop_live = 1;
    return wire::Batch({NewBlocks(*held += 100'000, 100'000)});
  });
  OfferBatches("swelling", false, [](ZmqPublisher*) {
    return wire::Batch({wire::StoredMap({{"extra_keys", Repeated(4'000'000, wire::kNil)}}),
                        wire::StoredMap({{"token_ids", Repeated(4'000'000, wire::kNil)}}),
                        wire::StoredMap({{"block_hashes", Repeated(4'000'000, wire::Uint(1))}})});
  });
}

// Under the longest ids.
void WorstInputs::Leases() {
  auto lease = std::make_shared<uint64_t>(0);
  Offer("leases", [this, lease] {
    std::vector<v1::RouteRequest> requests(500);
    for (v1::RouteRequest& request : requests) {
      request.set_model("m");
      request.set_request_id(absl::StrCat(++*lease, std::string(240, 'x')));
      request.mutable_prompt()->add_token_ids(1);
    }
    (void)api_.RouteAll(requests);
  });
}

void WorstInputs::LongPrompts() {
  v1::ScoreRequest request;
  request.set_model("m");
  request.mutable_prompt()->mutable_token_ids()->Resize(4'000'000, 0x0fff'ffff);
  for (int client = 0; client < 3; ++client) {
    auto api = std::make_shared<ApiClient>(server_->grpc_address());
    Offer(absl::StrCat("prompts-", client), [api, request] { (void)api->Score(request); });
  }
}

// Requests of few bytes that would be much memory once they are parsed.
void WorstInputs::Swelling() {
  auto api = std::make_shared<ApiClient>(server_->grpc_address());
  v1::ScoreRequest candidates, inputs;
  candidates.set_model("m");
  for (int i = 0; i < 2'000'000; ++i) candidates.add_candidates();
  for (int i = 0; i < 1'000'000; ++i) inputs.mutable_prompt()->add_multimodal();
  v1::Worker worker;
  worker.set_worker_id("ranks");
  for (int i = 0; i < 2'000'000; ++i) worker.add_rank_overrides();
  Offer("swelling", [api, candidates, inputs, worker] {
    (void)api->Score(candidates);
    (void)api->Score(inputs);
    (void)api->Register(worker);
  });
}

// From four connections at a time, as much as the server asks for.
void WorstInputs::Unfinished() {
  for (int client = 0; client < 4; ++client) {
    auto kept = std::make_shared<Kept<HalfMessages>>(5);
    Offer(absl::StrCat("unfinished-", client), [this, kept] {
      auto connection = HalfMessages::Begin(server_->grpc_port(), kPatience);
      if (!connection.has_value()) return;
      for (int call = 0; call < 60; ++call) connection->Call(kScore, "", "\x12", 16'000'000);
      connection->SendAll();
      kept->Add(std::move(connection));
    });
  }
}

// Nobody takes the answers, nor the news that calls are compressed.
void WorstInputs::UnreadAnswers() {
  auto kept = std::make_shared<Kept<Http2Connection>>(20);
  v1::ScoreRequest request;
  request.set_model("m");
  request.mutable_prompt()->mutable_token_ids()->Resize(4'000, 7);
  Offer("unread", [this, kept, message = request.SerializeAsString()] {
    constexpr std::string_view kPaths[] = {kScore, "/kvroute.v1.Fleet/List",
                                           "/kvroute.v1.Router/Explain",
                                           "/kvroute.v1.Router/ScoreStream"};
    auto connection = Http2Connection::Try(server_->grpc_port(), kPatience, 0);
    if (!connection.has_value()) return;
    for (uint32_t call = 1; call < 600; call += 2) {
      const std::string_view path = kPaths[call / 2 % 4];
      connection->Headers(call, path);
      connection->Message(call, path == kPaths[1] ? "" : message, call % 7 == 0);
    }
    connection->Flush();
    kept->Add(std::move(connection));
  });
}

void WorstInputs::RapidReset() {
  Offer("resets", [this] {
    auto connection = Http2Connection::Try(server_->grpc_port(), kPatience);
    if (!connection.has_value()) return;
    uint32_t call = 1;
    for (int burst = 0; burst < 40 && !stop_; ++burst) {
      for (const uint32_t end = call + 1'000; call < end; call += 2) {
        connection->Headers(call, kScore).Reset(call);
      }
      if (!connection->Flush()) return;
    }
  });
}

void WorstInputs::UnreadPages() {
  Offer("pages", [this] {
    std::string requests;
    for (int i = 0; i < 100; ++i) requests += "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    std::vector<std::optional<RawConnection>> unread;
    for (int i = 0; i < 40 && !stop_; ++i) {
      unread.push_back(RawConnection::Try(server_->http_port(), kPatience));
      if (unread.back().has_value()) unread.back()->Send(requests);
    }
  });
}

// As long as any may be and longer; some of them without their end.
void WorstInputs::JsonBodies() {
  Offer("json", [this] {
    std::vector<std::optional<RawConnection>> open;
    for (int i = 0; i < 12 && !stop_; ++i) {
      std::string body = "{\"model\":\"m\",\"token_ids\":[1";
      for (int token = 0; token < 200'000 << (i % 4); ++token) body += ",1";
      body += "]}";
      open.push_back(RawConnection::Try(server_->PortOf("http_json"), kPatience));
      if (!open.back().has_value()) continue;
      open.back()->Send(absl::StrCat("POST /query HTTP/1.1\r\nHost: x\r\nContent-Type: ",
                                     "application/json\r\nContent-Length: ",
                                     body.size() + static_cast<size_t>(i % 3), "\r\n\r\n", body));
    }
  });
}

// Bodies of 8 MB whose end never comes: in one message, and the same in full duplex behind headers.
void WorstInputs::PickerBodies() {
  auto kept = std::make_shared<Kept<HalfMessages>>(6);
  Offer("picker", [this, kept] {
    constexpr std::string_view kProcess = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";
    auto connection = HalfMessages::Begin(server_->PortOf("picker"), kPatience);
    if (!connection.has_value()) return;
    for (int call = 0; call < 40; ++call) {
      const std::string headers("\x12\x00", 2);  // ProcessingRequest.request_headers
      connection->Call(kProcess, call % 2 == 0 ? headers : "", "\x22", 8'000'000);
    }
    connection->SendAll();
    kept->Add(std::move(connection));
  });
}

}  // namespace kvroute
