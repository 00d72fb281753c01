#include "test/api/api_surface.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "kvroute/rpc/error.pb.h"
#include "kvroute/v1/fleet.pb.h"
#include "kvroute/v1/router.pb.h"

namespace kvroute {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;

const char kRecord[] = "test/api/recorded_v1.txt";

std::vector<const FileDescriptor*> Files() {
  return {rpc::ErrorInfo::descriptor()->file(), v1::RouteRequest::descriptor()->file(),
          v1::Worker::descriptor()->file()};
}

// The surface of the API with one file changed by `change`.
ApiSurface ChangedSurface(const std::string& changed,
                          const std::function<void(FileDescriptorProto*)>& change) {
  DescriptorPool pool;
  std::vector<const FileDescriptor*> built;
  std::vector<const FileDescriptor*> files = {google::protobuf::Timestamp::descriptor()->file(),
                                              google::protobuf::Any::descriptor()->file()};
  for (const FileDescriptor* file : Files()) files.push_back(file);
  for (const FileDescriptor* file : files) {
    FileDescriptorProto proto;
    file->CopyTo(&proto);
    if (proto.name() == changed) change(&proto);
    const FileDescriptor* const now = pool.BuildFile(proto);
    EXPECT_NE(now, nullptr) << proto.name();
    if (proto.package() != "google.protobuf") built.push_back(now);
  }
  return SurfaceOf(built);
}

// What breaks for those who rely on today's API.
std::vector<std::string> Breaks(const std::string& changed,
                                const std::function<void(FileDescriptorProto*)>& change) {
  return BrokenPromises(SurfaceOf(Files()), ChangedSurface(changed, change));
}

auto* MessageNamed(const std::string& name, FileDescriptorProto* file) {
  for (auto& message : *file->mutable_message_type()) {
    if (message.name() == name) return &message;
  }
  ADD_FAILURE() << name;
  return file->add_message_type();
}

using Lines = std::vector<std::string>;

TEST(ApiSurfaceTest, WhatIsRecordedHolds) {
  const ApiSurface recorded = ReadSurface(kRecord);
  const ApiSurface now = SurfaceOf(Files());
  EXPECT_EQ(BrokenPromises(recorded, now), Lines{})
      << "clients rely on these: see docs/api.md, compatibility";
  if (HasFailure()) return;
  if (std::getenv("KVROUTE_RECORD_API") != nullptr) {
    ASSERT_TRUE(WriteSurface(kRecord, now));
    return;
  }
  EXPECT_EQ(BrokenPromises(now, recorded), Lines{})
      << "new, and not recorded yet: run this test with KVROUTE_RECORD_API=1 and commit "
      << kRecord;
}

TEST(ApiSurfaceTest, WhatOnlyGrowsBreaksNobody) {
  EXPECT_EQ(Breaks("kvroute/v1/fleet.proto",
                   [](FileDescriptorProto* file) {
                     auto* field = MessageNamed("Worker", file)->add_field();
                     field->set_name("planted");
                     field->set_number(999);
                     field->set_label(google::protobuf::FieldDescriptorProto::LABEL_OPTIONAL);
                     field->set_type(google::protobuf::FieldDescriptorProto::TYPE_STRING);
                     file->add_message_type()->set_name("Planted");
                     auto* value = file->add_enum_type();
                     value->set_name("PlantedKind");
                     value->add_value()->set_name("PLANTED_KIND_UNSPECIFIED");
                     value->mutable_value(0)->set_number(0);
                     auto* method = file->mutable_service(0)->add_method();
                     method->set_name("Plant");
                     method->set_input_type(".kvroute.v1.Planted");
                     method->set_output_type(".kvroute.v1.Planted");
                   }),
            Lines{});
}

TEST(ApiSurfaceTest, ARemovedFieldBreaks) {
  EXPECT_EQ(Breaks("kvroute/v1/fleet.proto",
                   [](FileDescriptorProto* file) {
                     MessageNamed("RankOverride", file)->mutable_field()->DeleteSubrange(3, 1);
                   }),
            Lines{"field kvroute.v1.RankOverride = 4 address: string"});
}

TEST(ApiSurfaceTest, ARenumberedFieldBreaks) {
  EXPECT_EQ(Breaks("kvroute/v1/fleet.proto",
                   [](FileDescriptorProto* file) {
                     MessageNamed("RankOverride", file)->mutable_field(3)->set_number(77);
                   }),
            Lines{"field kvroute.v1.RankOverride = 4 address: string"});
}

TEST(ApiSurfaceTest, ARenamedFieldBreaks) {
  EXPECT_EQ(Breaks("kvroute/v1/fleet.proto",
                   [](FileDescriptorProto* file) {
                     MessageNamed("RankOverride", file)->mutable_field(3)->set_name("url");
                     MessageNamed("RankOverride", file)->mutable_field(3)->clear_json_name();
                   }),
            Lines{"field kvroute.v1.RankOverride = 4 address: string"});
}

TEST(ApiSurfaceTest, ARetypedFieldBreaks) {
  EXPECT_EQ(Breaks("kvroute/v1/router.proto",
                   [](FileDescriptorProto* file) {
                     MessageNamed("Target", file)
                         ->mutable_field(1)
                         ->set_type(google::protobuf::FieldDescriptorProto::TYPE_SINT32);
                   }),
            Lines{"field kvroute.v1.Target = 2 rank: uint32"});
}

TEST(ApiSurfaceTest, AFieldThatBecomesRepeatedBreaks) {
  EXPECT_EQ(Breaks("kvroute/v1/router.proto",
                   [](FileDescriptorProto* file) {
                     MessageNamed("Target", file)
                         ->mutable_field(0)
                         ->set_label(google::protobuf::FieldDescriptorProto::LABEL_REPEATED);
                   }),
            Lines{"field kvroute.v1.Target = 1 worker_id: string"});
}

TEST(ApiSurfaceTest, AFieldThatLeavesItsOneofBreaks) {
  EXPECT_EQ(Breaks("kvroute/v1/fleet.proto",
                   [](FileDescriptorProto* file) {
                     auto* message = MessageNamed("Worker", file);
                     for (auto& field : *message->mutable_field()) field.clear_oneof_index();
                     message->clear_oneof_decl();
                   }),
            Lines{"field kvroute.v1.Worker = 14 first_rank: uint32 oneof first_rank_if_known"});
}

TEST(ApiSurfaceTest, AMapsTypesAreItsFields) {
  EXPECT_EQ(Breaks("kvroute/rpc/error.proto",
                   [](FileDescriptorProto* file) {
                     auto* entry = MessageNamed("ErrorInfo", file)->mutable_nested_type(0);
                     entry->mutable_field(1)->set_type(
                         google::protobuf::FieldDescriptorProto::TYPE_INT64);
                   }),
            Lines{"field kvroute.rpc.ErrorInfo = 3 metadata: map<string, string>"});
}

TEST(ApiSurfaceTest, ARemovedMethodBreaks) {
  EXPECT_EQ(Breaks("kvroute/v1/fleet.proto",
                   [](FileDescriptorProto* file) {
                     file->mutable_service(0)->mutable_method()->DeleteSubrange(0, 1);
                   }),
            Lines{"rpc kvroute.v1.Fleet.Register(kvroute.v1.RegisterRequest) returns "
                  "(kvroute.v1.RegisterResponse)"});
}

TEST(ApiSurfaceTest, AMethodThatBecomesAStreamBreaks) {
  EXPECT_EQ(Breaks("kvroute/v1/router.proto",
                   [](FileDescriptorProto* file) {
                     file->mutable_service(0)->mutable_method(0)->set_server_streaming(true);
                   }),
            Lines{"rpc kvroute.v1.Router.Route(kvroute.v1.RouteRequest) returns "
                  "(kvroute.v1.RouteResponse)"});
}

TEST(ApiSurfaceTest, ARemovedEnumValueBreaks) {
  EXPECT_EQ(Breaks("kvroute/v1/router.proto",
                   [](FileDescriptorProto* file) {
                     file->mutable_enum_type(0)->mutable_value()->RemoveLast();
                   }),
            Lines{"value kvroute.v1.Trust = 5 TRUST_STALE"});
}

TEST(ApiSurfaceTest, ARenumberedEnumValueBreaks) {
  EXPECT_EQ(Breaks("kvroute/v1/router.proto",
                   [](FileDescriptorProto* file) {
                     auto* values = file->mutable_enum_type(0)->mutable_value();
                     values->Mutable(values->size() - 1)->set_number(50);
                   }),
            Lines{"value kvroute.v1.Trust = 5 TRUST_STALE"});
}

TEST(ApiSurfaceTest, AnotherNameInALanguageBreaks) {
  EXPECT_EQ(Breaks("kvroute/v1/router.proto",
                   [](FileDescriptorProto* file) {
                     file->mutable_options()->set_java_package("com.example");
                   }),
            Lines{"file kvroute/v1/router.proto: java_package io.kvroute.v1"});
}

}  // namespace
}  // namespace kvroute
