#include "router/config/plaintext_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "router/config/parse_config.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> PlaintextOf(const std::string& text) {
  const auto config = ParseConfig(text, "k.yaml", {});
  EXPECT_TRUE(config.ok()) << config.status();
  return PlaintextFields(config.value_or(ServeConfig()));
}

TEST(PlaintextFields, ByDefaultNothingIsServedToOtherMachines) {
  EXPECT_THAT(PlaintextOf(""), IsEmpty());
}

TEST(PlaintextFields, WhatAPersonOpenedIsNamed) {
  EXPECT_THAT(
      PlaintextOf("grpc: {listen: 0.0.0.0:50051}\n"
                  "http: {listen: '[::]:9108'}\n"
                  "http_json: {listen: kvroute.example:8090}\n"
                  "picker: {listen: 0.0.0.0:9002, plaintext_listen: 0.0.0.0:9004, "
                  "health_listen: 0.0.0.0:9003}\n"
                  "listeners: [{endpoint: 'tcp://0.0.0.0:5557'}]\n"),
      ElementsAre("grpc.listen: 0.0.0.0:50051", "http.listen: [::]:9108",
                  "http_json.listen: kvroute.example:8090", "picker.plaintext_listen: 0.0.0.0:9004",
                  "picker.health_listen: 0.0.0.0:9003",
                  "listeners[0].endpoint: tcp://0.0.0.0:5557"));
  EXPECT_THAT(PlaintextOf("picker: {listen: 0.0.0.0:9002, tls: off}\n"),
              ElementsAre("picker.listen: 0.0.0.0:9002"));
}

TEST(PlaintextFields, TlsAndLoopbackAreNot) {
  EXPECT_THAT(PlaintextOf("grpc: {listen: 0.0.0.0:1, tls: {certificate_file: a, key_file: b}}\n"
                          "http: {listen: 0.0.0.0:2, tls: {certificate_file: a, key_file: b}}\n"
                          "http_json: {listen: '[::1]:8090'}\n"
                          "listeners: [{endpoint: 'tcp://127.0.0.1:5557'}]\n"),
              IsEmpty());
}

TEST(IsLoopbackHost, KnowsItsNames) {
  for (const char* host : {"localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "[::1]"}) {
    EXPECT_TRUE(IsLoopbackHost(host)) << host;
  }
  for (const char* host : {"0.0.0.0", "[::]", "*", "10.0.0.1", "128.0.0.1", "localhost.evil", ""}) {
    EXPECT_FALSE(IsLoopbackHost(host)) << host;
  }
}

}  // namespace
}  // namespace kvroute
