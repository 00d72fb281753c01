#include "router/serve/check_serve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

using testing::StartsWith;

ServeConfig OnLoopback() {
  ServeConfig config;
  config.grpc.listen = "127.0.0.1:0";
  config.http.listen = "127.0.0.1:0";
  return config;
}

std::string ErrorOf(const ServeConfig& config) {
  return std::string(MessageOf(CheckServe(config)));
}

TEST(CheckServeTest, WhatServeTakesIsTaken) {
  EXPECT_EQ(ErrorOf(OnLoopback()), "");
  ServeConfig both = OnLoopback();
  both.picker.listen = "[::]:0";
  both.picker.health_listen = ":0";
  EXPECT_EQ(ErrorOf(both), "");
}

TEST(CheckServeTest, CertificatesThatAreNotThereAreRefused) {
  ServeConfig config = OnLoopback();
  config.grpc.tls = {
      .certificate_file = "/no/such.crt", .key_file = "/no/such.key", .client_ca_file = ""};
  EXPECT_THAT(ErrorOf(config), StartsWith("grpc.tls.certificate_file: /no/such.crt: "));
  config = OnLoopback();
  config.picker.listen = "127.0.0.1:0";
  config.picker.tls = PickerTls::kFiles;
  config.picker.files = {
      .certificate_file = "/no/such.crt", .key_file = "/no/such.key", .client_ca_file = ""};
  EXPECT_THAT(ErrorOf(config), StartsWith("picker.certificate_file: /no/such.crt: "));
}

TEST(CheckServeTest, AddressesOfOthersAndTwiceTheSameAreRefused) {
  ServeConfig config = OnLoopback();
  config.http.listen = "192.0.2.1:9108";
  EXPECT_THAT(ErrorOf(config), StartsWith("http.listen: cannot listen on \"192.0.2.1:9108\": "));
  config = OnLoopback();
  config.grpc.listen = config.http.listen = "127.0.0.1:19108";
  EXPECT_EQ(ErrorOf(config), "http.listen: \"127.0.0.1:19108\" is that of grpc.listen as well");
}

}  // namespace
}  // namespace kvroute
