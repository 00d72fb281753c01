#include "router/edge/grpc_base/call_rights.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>
#include <grpcpp/server_context.h>

#include <memory>
#include <string_view>
#include <vector>

#include "router/edge/grpc_base/connection.h"

namespace kvroute {
namespace {

std::string_view ViewOf(const grpc::string_ref& text) { return {text.data(), text.size()}; }

// DNS names and URIs of a certificate that gRPC has verified: it tells of no other.
std::vector<std::string_view> CertificateNames(const grpc::AuthContext& shown) {
  std::vector<std::string_view> names;
  if (!shown.IsPeerAuthenticated()) return names;
  for (const char* const property : {GRPC_PEER_DNS_PROPERTY_NAME, GRPC_PEER_URI_PROPERTY_NAME}) {
    for (const grpc::string_ref& name : shown.FindPropertyValues(property)) {
      names.push_back(ViewOf(name));
    }
  }
  return names;
}

std::string_view AuthorizationOf(const grpc::ServerContext& context) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find("authorization");
  return found == metadata.end() ? std::string_view() : ViewOf(found->second);
}

}  // namespace

absl::Status CheckCall(Rights* rights, Action action, grpc::ServerContext* context,
                       Connection* connection) {
  if (rights == nullptr || !rights->configured() || RolesFor(action).empty()) {
    return absl::OkStatus();
  }
  KnownCaller closed;
  KnownCaller* const known = connection == nullptr ? &closed : &connection->known_caller;
  const std::string_view peer =
      connection == nullptr ? std::string_view("a closed connection") : connection->peer();
  std::shared_ptr<const grpc::AuthContext> shown;  // whose names are only viewed
  return known->Check(
      rights, action, peer,
      [&] {
        shown = context->auth_context();
        return CertificateNames(*shown);
      },
      [&] { return AuthorizationOf(*context); });
}

}  // namespace kvroute
