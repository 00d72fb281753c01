#include "router/fleet/endpoint.h"

#include <gtest/gtest.h>

#include <string>

namespace kvroute {
namespace {

std::string Read(std::string_view text) {
  const auto endpoint = ParseEndpoint(text);
  return endpoint ? endpoint->Text() : "none";
}
std::string ReadOrHost(std::string_view text) {
  const auto endpoint = ParseEndpointOrHost(text);
  return endpoint ? endpoint->Text() : "none";
}
std::string OfAddress(std::string_view text) {
  const auto endpoint = EndpointOfAddress(text);
  return endpoint ? endpoint->Text() : "none";
}

TEST(EndpointTest, IsAnAddressAndAPort) {
  EXPECT_EQ(Read("10.0.0.7:8000"), "10.0.0.7:8000");
  EXPECT_EQ(Read("[fd00::7]:8000"), "[fd00::7]:8000");
  EXPECT_EQ(Read("[FD00:0::7]:1"), "[fd00::7]:1");
  EXPECT_EQ(Read("255.255.255.255:65535"), "255.255.255.255:65535");
}

TEST(EndpointTest, NothingElseIsOne) {
  for (const char* text :
       {"", ":", "10.0.0.7", "10.0.0.7:", "10.0.0.7:0", "10.0.0.7:65536", "10.0.0.7:+80",
        "10.0.0.7:80x", "10.0.0.7: 80", "pod-7:8000", "fd00::7:8000", "[fd00::7]", "[10.0.0.7]:80",
        "[fd00::7%eth0]:80", "10.0.0.7:000080", "10.0.0:80", "10.0.0.7:8000,10.0.0.8:8000", "[]:80",
        "http://10.0.0.7:80"}) {
    EXPECT_EQ(Read(text), "none") << text;
  }
  EXPECT_EQ(Read(std::string(1'000'000, '1') + ":80"), "none");
  EXPECT_EQ(Read(std::string("10.0.0.7\0:80", 12)), "none");
}

TEST(EndpointTest, ARestrictionMayLeaveThePortOut) {
  EXPECT_EQ(ReadOrHost("10.0.0.7"), "10.0.0.7:0");
  EXPECT_EQ(ReadOrHost("10.0.0.7:80"), "10.0.0.7:80");
  EXPECT_EQ(ReadOrHost("fd00::7"), "[fd00::7]:0");
  EXPECT_EQ(ReadOrHost("[fd00::7]"), "[fd00::7]:0");
  EXPECT_EQ(ReadOrHost("[fd00::7]:80"), "[fd00::7]:80");
  EXPECT_EQ(ReadOrHost("pod-7"), "none");
}

TEST(EndpointTest, AWorkersAddressMayBeAUrl) {
  EXPECT_EQ(OfAddress("http://10.0.0.7:8000"), "10.0.0.7:8000");
  EXPECT_EQ(OfAddress("https://[fd00::7]:8000/"), "[fd00::7]:8000");
  EXPECT_EQ(OfAddress("10.0.0.7:8000"), "10.0.0.7:8000");
  EXPECT_EQ(OfAddress("http://engine-7:8000"), "none");
  EXPECT_EQ(OfAddress("http://10.0.0.7:8000/v1"), "none");
}

// Written differently, one and the same.
TEST(EndpointTest, EqualEndpointsCompareEqual) {
  EXPECT_EQ(*ParseEndpoint("[0:0::1]:80"), *ParseEndpoint("[::1]:80"));
  EXPECT_EQ(*ParseEndpoint("[::ffff:10.0.0.7]:80"), *ParseEndpoint("10.0.0.7:80"));
  EXPECT_NE(*ParseEndpoint("10.0.0.7:80"), *ParseEndpoint("10.0.0.7:81"));
}

}  // namespace
}  // namespace kvroute
