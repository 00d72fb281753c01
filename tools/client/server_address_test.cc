#include "tools/client/server_address.h"

#include <gtest/gtest.h>

namespace kvroute {
namespace {

std::string Parsed(const std::string& text) {
  const auto address = ParseServerAddress("--server", text, 50'051);
  if (!address.ok()) return "";
  return address->Text() + (address->tls ? " tls" : "");
}

TEST(ServerAddressTest, WhatPeopleWrite) {
  EXPECT_EQ(Parsed("127.0.0.1:9108"), "127.0.0.1:9108");
  EXPECT_EQ(Parsed("node.example:1"), "node.example:1");
  EXPECT_EQ(Parsed("node.example"), "node.example:50051");
  EXPECT_EQ(Parsed(":9108"), "localhost:9108");
  EXPECT_EQ(Parsed("[::1]:9108"), "[::1]:9108");
  EXPECT_EQ(Parsed("[::1]"), "[::1]:50051");
  EXPECT_EQ(Parsed("http://node:9108/metrics"), "node:9108");
  EXPECT_EQ(Parsed("http://node/"), "node:80");
  EXPECT_EQ(Parsed("https://[::1]"), "[::1]:443 tls");
  EXPECT_EQ(Parsed("grpc://node"), "node:50051");
  EXPECT_EQ(Parsed("grpcs://node:7"), "node:7 tls");
  EXPECT_EQ(Parsed("unix:/run/k.sock"), "unix:/run/k.sock");
  EXPECT_EQ(Parsed("unix:///run/k.sock"), "unix:/run/k.sock");
}

TEST(ServerAddressTest, UrlsOfPages) {
  EXPECT_EQ(ParseServerAddress("", "[::1]:9108", 0)->Url("/status"), "http://[::1]:9108/status");
  EXPECT_EQ(ParseServerAddress("", "https://a", 0)->Url("/"), "https://a:443/");
}

TEST(ServerAddressTest, WhatIsNone) {
  for (const char* text : {"", ":", "host:", "host:0", "host:65536", "host:-1", "host:9x", "::1",
                           "[::1", "[]:1", "[::1]9", "ftp://node:1", "a b:1", "a,b:1", "unix:x",
                           "user@host:1", "http://", "http://:x"}) {
    EXPECT_EQ(Parsed(text), "") << text;
  }
  EXPECT_EQ(ParseServerAddress("--server", "::1\n", 1).status().message(),
            "--server: \"::1\\x0a\" is no address: HOST:PORT, [IPv6]:PORT, :PORT, a URL (http, "
            "https, grpc, grpcs) or unix:/PATH");
}

}  // namespace
}  // namespace kvroute
