#include "test/api/api_surface.h"

#include <fmt/core.h>
#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace kvroute {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

std::string TypeOf(const FieldDescriptor& field) {
  const std::string label = field.is_repeated() ? "repeated " : "";
  if (field.is_map()) {
    const Descriptor& entry = *field.message_type();
    return fmt::format("map<{}, {}>", TypeOf(*entry.field(0)), TypeOf(*entry.field(1)));
  }
  if (field.type() == FieldDescriptor::TYPE_MESSAGE) {
    return label + field.message_type()->full_name();
  }
  if (field.type() == FieldDescriptor::TYPE_ENUM) return label + field.enum_type()->full_name();
  return label + field.type_name();
}

void AddEnum(const EnumDescriptor& type, ApiSurface* surface) {
  surface->insert(fmt::format("enum {}", type.full_name()));
  for (int i = 0; i < type.value_count(); ++i) {
    surface->insert(fmt::format("value {} = {} {}", type.full_name(), type.value(i)->number(),
                                type.value(i)->name()));
  }
}

void AddMessage(const Descriptor& message, ApiSurface* surface) {
  if (message.options().map_entry()) return;  // its field says it
  surface->insert(fmt::format("message {}", message.full_name()));
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    const auto* const oneof = field.containing_oneof();
    surface->insert(fmt::format("field {} = {} {}: {}{}", message.full_name(), field.number(),
                                field.name(), TypeOf(field),
                                oneof == nullptr ? "" : " oneof " + oneof->name()));
  }
  for (int i = 0; i < message.enum_type_count(); ++i) AddEnum(*message.enum_type(i), surface);
  for (int i = 0; i < message.nested_type_count(); ++i) {
    AddMessage(*message.nested_type(i), surface);
  }
}

void AddService(const ServiceDescriptor& service, ApiSurface* surface) {
  surface->insert(fmt::format("service {}", service.full_name()));
  for (int i = 0; i < service.method_count(); ++i) {
    const MethodDescriptor& method = *service.method(i);
    surface->insert(
        fmt::format("rpc {}({}{}) returns ({}{})", method.full_name(),
                    method.client_streaming() ? "stream " : "", method.input_type()->full_name(),
                    method.server_streaming() ? "stream " : "", method.output_type()->full_name()));
  }
}

void AddFile(const FileDescriptor& file, ApiSurface* surface) {
  const auto& options = file.options();
  surface->insert(fmt::format("file {}: package {}", file.name(), file.package()));
  surface->insert(fmt::format("file {}: go_package {}", file.name(), options.go_package()));
  surface->insert(fmt::format("file {}: java_package {}", file.name(), options.java_package()));
  surface->insert(
      fmt::format("file {}: java_multiple_files {}", file.name(), options.java_multiple_files()));
  surface->insert(
      fmt::format("file {}: csharp_namespace {}", file.name(), options.csharp_namespace()));
  for (int i = 0; i < file.message_type_count(); ++i) AddMessage(*file.message_type(i), surface);
  for (int i = 0; i < file.enum_type_count(); ++i) AddEnum(*file.enum_type(i), surface);
  for (int i = 0; i < file.service_count(); ++i) AddService(*file.service(i), surface);
}

}  // namespace

ApiSurface SurfaceOf(const std::vector<const FileDescriptor*>& files) {
  ApiSurface surface;
  for (const FileDescriptor* file : files) AddFile(*file, &surface);
  return surface;
}

ApiSurface ReadSurface(const std::string& path) {
  ApiSurface surface;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line.front() != '#') surface.insert(line);
  }
  return surface;
}

bool WriteSurface(const std::string& path, const ApiSurface& surface) {
  std::ofstream out(path);
  out << "# What clients of kvroute.v1 may rely on; docs/api.md tells how lines are added. None "
         "ever "
         "goes.\n";
  for (const std::string& line : surface) out << line << '\n';
  out.flush();
  return out.good();
}

std::vector<std::string> BrokenPromises(const ApiSurface& recorded, const ApiSurface& now) {
  std::vector<std::string> broken;
  std::set_difference(recorded.begin(), recorded.end(), now.begin(), now.end(),
                      std::back_inserter(broken));
  return broken;
}

}  // namespace kvroute
