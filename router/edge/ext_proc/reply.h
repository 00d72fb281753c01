#ifndef KVROUTE_ROUTER_EDGE_EXT_PROC_REPLY_H_
#define KVROUTE_ROUTER_EDGE_EXT_PROC_REPLY_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "router/load/load_tracker.h"

namespace kvroute {

// Where a request goes.
struct Pick {
  // "ip:port", or several in the order to try them, with commas between; empty: it is the proxy's
  // to say, and not the client's
  std::string endpoints;
  std::optional<uint32_t> rank;  // behind the endpoint; nullopt: it has one
  std::string lease;             // empty: none was taken
  // Who computes the prompt, and the lease of that; empty: the picked one itself.
  std::string prefiller = {};
  std::string prefill_lease = {};
  std::shared_ptr<const EndedLease> prefill = {};  // what was predicted of its cache
  // Share of the prompt that each endpoint holds, 0 to 1; empty: not to be told.
  std::vector<std::pair<std::string, double>> scores = {};
  bool is_fixture = false;  // the gateways' tests want to see the pick
};

// What a client is answered in an engine's place.
struct Refusal {
  int status = 503;
  std::string_view type;            // of the error, as OpenAI's clients know it
  std::string_view code;            // which error
  std::string_view dropped_reason;  // as gateways know it; empty: none
  std::string message;
};

// How a body that a proxy has shown goes on.
enum class BodyForm : uint8_t {
  kAsItIs,
  kStreamed,  // as the reply has it: in full duplex, where it was taken; at most 62,000 bytes
  kReplaced,  // the same, where the proxy holds it until it is answered
};

// What a proxy is told, as views: ProcessingResponse of
// proto/kvroute/envoy/external_processor.proto, without protobuf.
struct Reply {
  enum class Kind : uint8_t {  // numbered as the fields are
    kRequestHeaders = 1,
    kResponseHeaders = 2,
    kRequestBody = 3,
    kResponseBody = 4,
    kRequestTrailers = 5,
    kResponseTrailers = 6,
    kImmediate = 7,
    kWait = 10,  // the answer will take longer than usual
  };
  Kind kind = Kind::kRequestHeaders;
  const Pick* pick = nullptr;  // of request headers and body: where the request goes
  uint32_t to_remove = 0;      // beside a pick, see kRemovedHeaders
  BodyForm form = BodyForm::kAsItIs;
  absl::Span<const std::string_view> body = {};  // in pieces
  std::optional<uint64_t> content_length = {};   // beside a pick: which its headers are to say
  bool end_of_stream = false;
  const Refusal* refusal = nullptr;   // of kImmediate
  std::chrono::milliseconds wait{0};  // of kWait
  std::string_view served = {};       // of response headers: what the gateways' tests want to see
};

// The bytes of a reply are `head`, its body unless it goes on as it is, and ReplyTail.
void WriteReplyHead(const Reply& reply, std::string* head);
size_t BodyBytes(const Reply& reply);
std::string_view ReplyTail(const Reply& reply);

// A JSON string with this text, which is UTF-8.
std::string JsonString(std::string_view text);
// The OpenAI API's form of an error.
std::string RefusalJson(const Refusal& refusal);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_EXT_PROC_REPLY_H_
