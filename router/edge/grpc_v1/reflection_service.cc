#include "router/edge/grpc_v1/reflection_service.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <utility>

#include "indexer/base/limits.h"

namespace kvroute {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;

const DescriptorPool& Pool() { return *DescriptorPool::generated_pool(); }

void SetReflectionError(const absl::Status& status, ServerReflectionResponse* response) {
  response->mutable_error_response()->set_error_code(static_cast<int>(status.code()));
  response->mutable_error_response()->set_error_message(std::string(status.message()));
}

// The file, then what it imports, each once.
void AddFile(const FileDescriptor& file, std::vector<const FileDescriptor*>* added,
             grpc::reflection::v1alpha::FileDescriptorResponse* response) {
  if (std::find(added->begin(), added->end(), &file) != added->end()) return;
  added->push_back(&file);
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  response->add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) AddFile(*file.dependency(i), added, response);
}

void SetFile(const FileDescriptor* file, ServerReflectionResponse* response) {
  if (file == nullptr)
    return SetReflectionError(absl::NotFoundError("no such file or symbol"), response);
  std::vector<const FileDescriptor*> added;
  AddFile(*file, &added, response->mutable_file_descriptor_response());
}

}  // namespace

void Reflect(const std::vector<std::string>& services, const ServerReflectionRequest& request,
             ServerReflectionResponse* response) {
  response->set_valid_host(request.host());
  *response->mutable_original_request() = request;
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kFileByFilename:
      return SetFile(Pool().FindFileByName(request.file_by_filename()), response);
    case ServerReflectionRequest::kFileContainingSymbol:
      return SetFile(Pool().FindFileContainingSymbol(request.file_containing_symbol()), response);
    case ServerReflectionRequest::kAllExtensionNumbersOfType:
      if (Pool().FindMessageTypeByName(request.all_extension_numbers_of_type()) == nullptr) break;
      response->mutable_all_extension_numbers_response()->set_base_type_name(
          request.all_extension_numbers_of_type());
      return;
    case ServerReflectionRequest::kListServices:
      for (const std::string& name : services) {
        response->mutable_list_services_response()->add_service()->set_name(name);
      }
      return;
    default:
      break;
  }
  SetReflectionError(absl::NotFoundError("not known to this server"), response);
}

ReflectionService::ReflectionService(std::vector<std::string> services)
    : services_(std::move(services)),
      streams_("max_reflection_streams", limits::kMaxReflectionStreams,
               {&open_, &refused_, &ended_}) {
  info_.await = &ReflectionService::RequestServerReflectionInfo;
  info_.action = Action::kReflection;
  info_.answer = [this](const ClientId&, const ServerReflectionRequest& request, const LongNumbers&,
                        ServerReflectionResponse* response) {
    Reflect(services_, request, response);
  };
  info_.refuse = &SetReflectionError;
  info_.open = &streams_;
  info_.idle_name = "reflection_idle";
  info_.idle_timeout = limits::kReflectionIdle;
}

void ReflectionService::Serve(const EdgeParts& parts) {
  places_ = std::make_unique<CallPlaces>(limits::kMaxReflectionStreams + 1, parts.loop);
  places_->Start([this, &parts](CallPlaces* places) {
    return std::make_unique<StreamPlace<Info>>(info_, this, places, parts);
  });
}

}  // namespace kvroute
