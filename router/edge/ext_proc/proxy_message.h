#ifndef KVROUTE_ROUTER_EDGE_EXT_PROC_PROXY_MESSAGE_H_
#define KVROUTE_ROUTER_EDGE_EXT_PROC_PROXY_MESSAGE_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "indexer/base/enum_names.h"
#include "router/edge/ext_proc/wire_cursor.h"
#include "router/fleet/endpoint.h"

// What a proxy tells of one HTTP request, as views into the bytes that came: ProcessingRequest of
// proto/kvroute/envoy/external_processor.proto, without protobuf.
namespace kvroute {

enum class ProxyMessageKind : uint8_t {
  kNone,  // of a kind that is not known here
  kRequestHeaders,
  kResponseHeaders,
  kRequestBody,
  kResponseBody,
  kRequestTrailers,
  kResponseTrailers,
};

// How a proxy shows a body, numbered as in the protocol. Metric label values.
enum class BodyMode : uint8_t {
  kNone,
  kStreamed,
  kBuffered,
  kBufferedPartial,
  kFullDuplex,
  kGrpc,
};
inline constexpr auto kBodyModeNames = NamesUpTo<BodyMode::kGrpc>(
    "none", "streamed", "buffered", "buffered_partial", "full_duplex", "grpc");

// Of both directions, as the first message says.
struct BodyModes {
  BodyMode request = BodyMode::kFullDuplex;
  BodyMode response = BodyMode::kFullDuplex;
  // In STREAMED, the body is sent although the headers have not been answered.
  bool body_without_waiting = false;
};

struct ProxyMessage {
  ProxyMessageKind kind = ProxyMessageKind::kNone;
  std::string_view headers;    // of headers and trailers: see ForEachHeader
  std::string_view body;       // of a body
  bool end_of_stream = false;  // of headers and bodies
  std::string_view metadata;   // see ReadSubset and ReadServed
  bool observability = false;  // nothing is to be answered
  std::optional<BodyModes> modes;
};

// False: the bytes are no such message.
bool ReadProxyMessage(std::string_view bytes, ProxyMessage* message);

// Calls `each(name, value)` for every header, repeated ones each time, in their order. What does
// not read as a header is passed over.
template <typename Each>
void ForEachHeader(std::string_view headers, Each each) {
  WireCursor entries(headers);
  while (entries.Next()) {
    if (entries.field() != 1) continue;
    std::string_view name, value, raw_value;
    WireCursor entry(entries.bytes());
    while (entry.Next()) {
      if (entry.field() == 1) name = entry.bytes();
      if (entry.field() == 2) value = entry.bytes();
      if (entry.field() == 3) raw_value = entry.bytes();
    }
    if (!name.empty()) each(name, raw_value.empty() ? value : raw_value);
  }
}

// Items of a text with commas between, each an endpoint or a host alone (its port is then 0), put
// behind what `endpoints` holds. What is none is passed over and counted in `unreadable`.
void ReadEndpoints(std::string_view text, std::vector<Endpoint>* endpoints, uint64_t* unreadable);

// The endpoints that a request may go to, where its proxy says so in the metadata
// envoy.lb.subset_hint: a list of texts, or one text with commas between. False: it does not say;
// `subset` is then empty. What is no endpoint is passed over and counted in `unreadable`.
bool ReadSubset(std::string_view metadata, std::vector<Endpoint>* subset, uint64_t* unreadable);

// Where the request went in the end, as the proxy says; empty: it does not.
std::string_view ReadServed(std::string_view metadata);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_EXT_PROC_PROXY_MESSAGE_H_
