// What a request costs the picker itself, gRPC left out: its messages are read, a place is found
// for it, the answers are written, and its lease ends. And what streams cost that wait for an
// engine.
#include <benchmark/benchmark.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "indexer/base/check.h"
#include "router/edge/ext_proc/picker_stream.h"
#include "test/benchmark/support/cached.h"
#include "test/benchmark/support/picker_client.h"
#include "test/benchmark/support/picker_contest.h"
#include "test/benchmark/support/picker_fleet.h"
#include "test/benchmark/support/sampler.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kEnginePort = 8'000;  // nobody is there

// Takes what is sent, and has the texts' tokens at hand as the process has.
class StillHost final : public PickerHost {
 public:
  explicit StillHost(PromptRenderer* renderer) : renderer_(renderer) {}
  void Send(const Reply& reply) override {
    WriteReplyHead(reply, &head_);
    if (reply.pick != nullptr) picks += 1;
    benchmark::DoNotOptimize(head_.data());
  }
  std::string_view Keep(std::string_view part) override { return part; }
  void Release() override {}
  bool ReadElsewhere(const RequestHeaders&, absl::Span<const std::string_view>) override {
    return false;
  }
  void LeaveReading() override {}
  std::shared_ptr<const RenderedPrompt> Recall(const RequestBody& body, const PaddedText& text,
                                               std::string_view model) override {
    return renderer_->Recall(body, text, model);
  }
  bool Render(const RequestBody& body, const PaddedText& text, std::string_view model,
              Nanos deadline) override {
    rendered_ = false;
    renderer_->Start(body, text, model, deadline, [this](RenderedPrompt) {
      rendered_ = true;
      rendered_.notify_one();
    });
    return true;
  }
  void CancelRender() override { rendered_.wait(false); }

  uint64_t picks = 0;

 private:
  PromptRenderer* const renderer_;
  std::string head_;
  std::atomic<bool> rendered_{true};
};

std::vector<std::string> WholeRequest(const PickerShape& shape, size_t prompt) {
  const PickerMessages messages = MessagesOf(shape, prompt);
  std::vector<std::string> all;
  const auto add = [&all](grpc::ByteBuffer bytes) {
    grpc::Slice slice;
    KVROUTE_CHECK(bytes.DumpToSingleSlice(&slice).ok());
    all.emplace_back(reinterpret_cast<const char*>(slice.begin()), slice.size());
  };
  add(messages.headers);
  for (const grpc::ByteBuffer& piece : messages.body) add(piece);
  for (const grpc::ByteBuffer& part : PickerClient::ShortResponse()) add(part);
  return all;
}

void PickedRequest(benchmark::State& state) {
  PickerFleet& fleet = Cached<PickerFleet>(kEnginePort);
  const PickerShape shape{state.range(0) == 0 ? PickerForm::kTokens : PickerForm::kText,
                          static_cast<size_t>(state.range(1))};
  std::vector<std::vector<std::string>> requests;
  for (size_t i = 0; i < PickerShape::kPrompts; ++i) requests.push_back(WholeRequest(shape, i));
  EndpointPicker picker({}, &fleet.router_, &fleet.fleet_, &fleet.picker_stats_, &fleet.bodies_,
                        &Clock::Real());
  StillHost host(&fleet.renderer_);
  const auto ask = [&](size_t prompt) {
    PickerStream stream(&picker, &host, ClientId{1, 1});
    for (const std::string& bytes : requests[prompt % requests.size()]) {
      ProxyMessage message;
      KVROUTE_CHECK(ReadProxyMessage(bytes, &message));
      stream.OnMessage(message);
    }
    stream.OnClosed();
  };
  for (size_t i = 0; i < 2 * PickerShape::kPrompts; ++i) ask(i);
  host.picks = 0;
  Sampler sampler;
  size_t next = 0;
  for (auto _ : state) sampler.Time([&] { ask(next++); });
  KVROUTE_CHECK(host.picks == next);
  sampler.Report(&state);
}
BENCHMARK(PickedRequest)
    ->ArgNames({"text", "bytes"})
    ->ArgsProduct({{0, 1}, {1'024, 32'768, 409'600}});

// Streams that are open, each with an event of its answer now and then.
class OpenStreams {
 public:
  explicit OpenStreams(const RouteServerProcess& server)
      : messages_(MessagesOf({PickerForm::kTokens, 1'024}, 0)), client_(server.port()) {}

  // Requests whose answers have not begun.
  void AddIdle(size_t count) { Add(count, /*respond=*/false); }
  void AddActive(size_t count) { Add(count, /*respond=*/true); }

  // Events of the active ones in turn, each a fixed time after the last; what each took from when
  // it was due.
  std::vector<double> Events(steady_clock::duration every, steady_clock::duration time) {
    std::vector<double> took;
    const auto begin = steady_clock::now();
    std::vector<steady_clock::time_point> due(active_.size());
    size_t sent = 0;
    for (auto next = begin; next - begin < time; next += every) {
      while (steady_clock::now() < next) Hear(next, due, &took);
      PickerClient::Call* const call = active_[sent++ % active_.size()];
      due[call->number] = next;
      client_.SendPiece(call, /*last=*/false);
    }
    while (took.size() < sent) Hear(steady_clock::now() + milliseconds(100), due, &took);
    return took;
  }

 private:
  void Add(size_t count, bool respond) {
    constexpr size_t kAtOnce = 64;
    size_t begun = 0, open = 0;
    while (open < count) {
      while (begun < count && begun - open < kAtOnce)
        client_.Begin(messages_, active_.size() + begun++);
      const auto happened = client_.Next(steady_clock::now() + std::chrono::seconds(60));
      KVROUTE_CHECK(happened.has_value());
      if (happened->what == PickerClient::What::kPicked && respond) {
        client_.Respond(happened->call);
        continue;
      }
      ++open;
      if (respond) active_.push_back(happened->call);
    }
    for (size_t i = 0; i < active_.size(); ++i) active_[i]->number = i;
  }
  void Hear(steady_clock::time_point until, const std::vector<steady_clock::time_point>& due,
            std::vector<double>* took) {
    const auto happened = client_.Next(until);
    if (!happened.has_value()) return;
    took->push_back(
        static_cast<double>((steady_clock::now() - due[happened->call->number]).count()));
  }

  const PickerMessages messages_;
  PickerClient client_;
  std::vector<PickerClient::Call*> active_;
};

// Two of kvroute's pickers, one of which has `idle` streams open beside the 500 that are active in
// both; the median of their turns' p99.
void PickerIdleStreams(benchmark::State& state) {
  const auto idle = static_cast<size_t>(state.range(0));
  constexpr size_t kActive = 500;
  constexpr std::chrono::microseconds kEvery(500);  // 4 events a second each
  const ClientCore client_core;
  const auto start = [&] {
    return RouteServerProcess({"picker_server", "kvroute", std::to_string(kEnginePort)},
                              client_core.others());
  };
  const RouteServerProcess crowded = start(), empty = start();
  OpenStreams many(crowded), few(empty);
  many.AddActive(kActive);
  few.AddActive(kActive);
  const uint64_t before = crowded.ResidentBytes();
  many.AddIdle(idle);
  state.counters["idle_stream_bytes"] =
      static_cast<double>(crowded.ResidentBytes() - before) / static_cast<double>(idle);
  std::vector<double> with, without, p99, p50;
  for (auto _ : state) {
    const auto begin = steady_clock::now();
    const std::vector<double> beside = many.Events(kEvery, milliseconds(250));
    const std::vector<double> alone = few.Events(kEvery, milliseconds(250));
    p50.push_back(QuantileOf(beside, 0.5));
    with.push_back(QuantileOf(beside, 0.99));
    without.push_back(QuantileOf(alone, 0.99));
    state.SetIterationTime(std::chrono::duration<double>(steady_clock::now() - begin).count());
  }
  state.counters["p50_ns"] = QuantileOf(p50, 0.5);
  state.counters["p99_ns"] = QuantileOf(with, 0.5);
  state.counters["p99_ratio"] = QuantileOf(with, 0.5) / QuantileOf(without, 0.5);
}
BENCHMARK(PickerIdleStreams)
    ->ArgName("streams")
    ->Arg(10'000)
    ->Iterations(4)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvroute
