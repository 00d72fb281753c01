#ifndef KVROUTE_ROUTER_EDGE_EXT_PROC_HEADER_NAMES_H_
#define KVROUTE_ROUTER_EDGE_EXT_PROC_HEADER_NAMES_H_

#include <string_view>

// Names of the endpoint picker protocol, as gateways spell them.
namespace kvroute {

// Where the picked endpoint goes: a header, and the same key of this metadata.
inline constexpr std::string_view kEndpointHeader = "x-gateway-destination-endpoint";
inline constexpr std::string_view kEndpointNamespace = "envoy.lb";
// Which endpoints may be picked.
inline constexpr std::string_view kSubsetNamespace = "envoy.lb.subset_hint";
inline constexpr std::string_view kSubsetHeader = "x-gateway-destination-endpoint-subset";
// Which one served, in the metadata kEndpointNamespace.
inline constexpr std::string_view kServedKey = "x-gateway-destination-endpoint-served";
// Which rank behind an endpoint that several share.
inline constexpr std::string_view kRankHeader = "x-data-parallel-rank";
// Who computes the prompt for the endpoint that was picked.
inline constexpr std::string_view kPrefillerHeader = "x-prefiller-host-port";
// How well each endpoint suits: a key of kEndpointNamespace, a number by endpoint.
inline constexpr std::string_view kScoresKey = "x-gateway-destination-endpoint-scores";
// Of the gateways' conformance tests: where a request may go, what its response is to show, and
// under which name.
inline constexpr std::string_view kFixtureSelectionHeader = "test-epp-endpoint-selection";
inline constexpr std::string_view kFixtureEchoHeader = "x-echo-set-header";
inline constexpr std::string_view kFixtureServedHeader = "x-conformance-test-served-endpoint";
// Why a request was refused.
inline constexpr std::string_view kDroppedHeader = "x-llm-d-request-dropped-reason";

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_EXT_PROC_HEADER_NAMES_H_
