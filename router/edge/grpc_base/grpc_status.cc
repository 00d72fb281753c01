#include "router/edge/grpc_base/grpc_status.h"

#include <string>

#include "indexer/base/api_limits.h"
#include "indexer/base/error_reason.h"
#include "kvroute/rpc/error.pb.h"

namespace kvroute {
namespace {

constexpr char kDomain[] = "kvroute";
constexpr char kErrorInfoType[] = "type.googleapis.com/google.rpc.ErrorInfo";

std::string DetailsOf(const absl::Status& status) {
  ErrorDetail detail = DetailOf(status);
  rpc::ErrorInfo info;
  info.set_reason(std::string(kErrorReasonNames[detail.reason]));
  info.set_domain(kDomain);
  for (auto& [name, value] : detail.facts) (*info.mutable_metadata())[name] = std::move(value);
  rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(std::string(status.message()));
  google::protobuf::Any* const any = details.add_details();
  any->set_type_url(kErrorInfoType);
  any->set_value(info.SerializeAsString());
  std::string bytes = details.SerializeAsString();
  if (bytes.size() > limits::kMaxErrorDetailBytes) bytes.clear();
  return bytes;
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()),
                      DetailsOf(status));
}

}  // namespace kvroute
