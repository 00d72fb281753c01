#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "indexer/base/check.h"
#include "router/edge/ext_proc/picker_stream.h"
#include "test/support/routing_fixture.h"

// Whatever a proxy says: no crash, nothing read beyond its message, no answer that was not asked
// for, and nothing left behind. The input is a list of steps, each a byte that says what happens
// and, of a message, a length of two bytes and as many bytes, or what is left.
namespace kvroute {
namespace {

class FuzzHost final : public PickerHost {
 public:
  void Send(const Reply& reply) override {
    std::string head;
    WriteReplyHead(reply, &head);
    KVROUTE_CHECK(!head.empty() && BodyBytes(reply) <= 62'000);
    // One pick or refusal at most; and a message is answered once, but for a body's pieces.
    if (reply.pick != nullptr || reply.refusal != nullptr) ++decided;
    KVROUTE_CHECK(decided <= 1);
  }
  bool ReadElsewhere(const RequestHeaders& headers,
                     absl::Span<const std::string_view> pieces) override {
    KVROUTE_CHECK(!reading);
    reading = true;
    elsewhere.Read(headers, pieces);
    return true;
  }
  void LeaveReading() override {
    KVROUTE_CHECK(reading);
    reading = false;
  }
  std::shared_ptr<const RenderedPrompt> Recall(const RequestBody& body, const PaddedText&,
                                               std::string_view) override {
    KVROUTE_CHECK(body.needs_render());
    return nullptr;
  }
  bool Render(const RequestBody& body, const PaddedText&, std::string_view, Nanos) override {
    KVROUTE_CHECK(body.needs_render() && !rendering);
    rendering = true;
    return true;
  }
  void CancelRender() override { rendering = false; }
  std::string_view Keep(std::string_view part) override {
    return *kept.emplace_back(std::make_unique<std::string>(part));
  }
  void Release() override { kept.clear(); }

  int decided = 0;
  bool rendering = false;
  bool reading = false;
  BodyText elsewhere;
  std::vector<std::unique_ptr<std::string>> kept;
};

class PickerFuzz : private RoutingFixture {
 public:
  PickerFuzz() {
    WorkerSpec spec = Spec("a", 2);
    spec.address = "10.0.0.1:8000";
    AddWorker(spec);
  }

  void One(std::string_view input) {
    FuzzHost host;
    PickerStream stream(&picker_, &host, ClientId{1, 1});
    while (!input.empty() && !stream.done()) {
      const auto what = static_cast<uint8_t>(input.front());
      input.remove_prefix(1);
      if (what == 0) {
        clock_.Advance(std::chrono::seconds(20));
        stream.OnTick(clock_.Monotonic());
      } else if (what == 1 && host.rendering) {
        host.rendering = false;
        RenderedPrompt prompt;
        prompt.token_ids = Tokens(9);
        stream.OnRendered(std::move(prompt));
      } else if (what == 2 && host.reading) {
        host.reading = false;
        stream.OnBodyRead(host.elsewhere);
      } else if (!Message(&input, &stream)) {
        break;
      }
    }
    stream.OnClosed();
    KVROUTE_CHECK(!host.rendering && !host.reading && bodies_.used() == 0);
    clock_.Advance(std::chrono::hours(1));
    loads_.Sweep();
    KVROUTE_CHECK(loads_.Stats().leases == 0);
  }

 private:
  // In memory of its own, so that the address sanitizer sees a read beyond it. False: it is none,
  // and the stream ends.
  static bool Message(std::string_view* input, PickerStream* stream) {
    size_t length = input->size();
    if (length >= 2) {
      length = static_cast<uint8_t>((*input)[0]) * 256u + static_cast<uint8_t>((*input)[1]);
      input->remove_prefix(2);
    }
    const std::string_view bytes = input->substr(0, length);
    input->remove_prefix(bytes.size());
    const std::vector<char> memory(bytes.begin(), bytes.end());
    ProxyMessage message;
    if (!ReadProxyMessage({memory.data(), memory.size()}, &message)) return false;
    stream->OnMessage(message);
    return true;
  }

  PickerStats picker_stats_;
  MemoryBudget bodies_{1'000};
  EndpointPicker picker_{{.max_body_bytes = 600, .max_short_body_bytes = 300},
                         &router_,
                         &fleet_,
                         &picker_stats_,
                         &bodies_,
                         &clock_};
};

}  // namespace
}  // namespace kvroute

// One fixture serves all inputs, and its index keeps what it allocates in memory of its own, in
// which the leak sanitizer does not look for pointers: all of it would be called leaked.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static auto* const fuzz = new kvroute::PickerFuzz();
  fuzz->One({reinterpret_cast<const char*>(data), size});
  return 0;
}
