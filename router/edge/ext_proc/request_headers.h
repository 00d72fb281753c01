#ifndef KVROUTE_ROUTER_EDGE_EXT_PROC_REQUEST_HEADERS_H_
#define KVROUTE_ROUTER_EDGE_EXT_PROC_REQUEST_HEADERS_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "router/edge/ext_proc/header_names.h"

namespace kvroute {

// Headers that steer gateways, pickers and engines, in lower case. A client's own must not reach an
// engine: it would choose the endpoint's rank, the prefiller or the tenant whose cache it shares.
// kEndpointHeader is not among them: it is overwritten, and whether a header that is set and
// removed is there in the end depends on the proxy's order.
inline constexpr std::array<std::string_view, 16> kRemovedHeaders = {
    kRankHeader,
    "x-data-parallel-host-port",
    "x-encoder-hosts-ports",
    "x-gateway-destination-endpoint-served",
    kSubsetHeader,
    "x-gateway-inference-fairness-id",
    "x-gateway-inference-objective",
    "x-gateway-model-name-rewrite",
    "x-kv-cache-source-host-port",
    "x-llm-d-inference-fairness-id",
    "x-llm-d-inference-objective",
    "x-llm-d-model-name-rewrite",
    "x-llm-d-slo-tpot-ms",
    "x-llm-d-slo-ttft-ms",
    kPrefillerHeader,
    "x-tenant-id"};
inline constexpr size_t kRankHeaderIndex = 0;
inline constexpr size_t kPrefillerHeaderIndex = 14;
static_assert(kRemovedHeaders[kPrefillerHeaderIndex] == kPrefillerHeader);

// What is kept of a request's headers.
struct RequestHeaders {
  std::string path;              // empty: they do not say
  std::string content_encoding;  // empty: none
  std::string model_rewrite;     // the model that the engine is to be asked for
  std::string objective;         // name of an InferenceObjective
  std::string fixture_selection;
  bool has_length = false;       // content-length
  bool prefers_refusal = false;  // "prefer: if-available": rather none than a late answer
  uint32_t to_remove = 0;        // bits by index of kRemovedHeaders

  // Where they do not say which API is meant, the oldest is.
  std::string_view path_or_default() const {
    return path.empty() ? std::string_view("/v1/completions") : std::string_view(path);
  }
};

// Of the wire bytes of a HeaderMap. Names are compared without regard to case; of a repeated
// header the first counts.
RequestHeaders ReadRequestHeaders(std::string_view headers);

// Of a response, as views.
struct ResponseHeaders {
  int status = 0;  // 0: it does not say
  std::string_view content_type;
  std::string_view content_encoding;

  // Whether it may say what the engine served; what does not say its status may.
  bool succeeded() const { return status == 0 || status / 100 == 2; }
};
ResponseHeaders ReadResponseHeaders(std::string_view headers);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_EXT_PROC_REQUEST_HEADERS_H_
