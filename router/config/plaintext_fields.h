#ifndef KVROUTE_ROUTER_CONFIG_PLAINTEXT_FIELDS_H_
#define KVROUTE_ROUTER_CONFIG_PLAINTEXT_FIELDS_H_

#include <string>
#include <string_view>
#include <vector>

#include "router/config/serve_config.h"

namespace kvroute {

// Whether only this machine reaches a host: localhost, 127.0.0.0/8, ::1, with or without brackets.
bool IsLoopbackHost(std::string_view host);
// The same of the host in "host:port" or "tcp://host:port".
bool IsLoopbackAddress(std::string_view address);

// What is served in plain text to other machines, as "grpc.listen: 0.0.0.0:50051". None of it by
// default: each was said by an address that a person wrote.
// docs/decisions/0061-what-is-open-was-said.md.
std::vector<std::string> PlaintextFields(const ServeConfig& config);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_CONFIG_PLAINTEXT_FIELDS_H_
