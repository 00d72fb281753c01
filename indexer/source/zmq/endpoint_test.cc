#include "indexer/source/zmq/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(EndpointTest, HostAndPortOfTcp) {
  EXPECT_EQ(ParseTcpEndpoint("tcp://10.0.0.7:5557"), (TcpEndpoint{"10.0.0.7", 5557}));
  EXPECT_EQ(ParseTcpEndpoint("tcp://[fd00::7]:1"), (TcpEndpoint{"fd00::7", 1}));
  EXPECT_EQ(ParseTcpEndpoint("tcp://fd00::7:65535"), (TcpEndpoint{"fd00::7", 65535}));
  EXPECT_EQ(ParseTcpEndpoint("tcp://pod-7.svc:5557"), (TcpEndpoint{"pod-7.svc", 5557}));
  for (const char* text : {"", "tcp://", "tcp://:1", "tcp://host", "tcp://host:", "tcp://host:0",
                           "tcp://host:65536", "tcp://host:x", "udp://host:1", "ipc:///tmp/x"}) {
    EXPECT_EQ(ParseTcpEndpoint(text), std::nullopt) << text;
  }
}

TEST(EndpointTest, TextReadsBack) {
  for (const char* text : {"tcp://10.0.0.7:5557", "tcp://[fd00::7]:1", "tcp://pod:5557"}) {
    EXPECT_EQ(TextOf(*ParseTcpEndpoint(text)), text);
  }
}

TEST(EndpointTest, WhomSomebodyMustBeAskedFor) {
  for (const char* host : {"127.0.0.1", "::1", "[::1]", "fe80::1%eth0"}) {
    EXPECT_TRUE(IsLiteralAddress(host)) << host;
  }
  for (const char* host :
       {"localhost", "pod-7", "10.0.0", "1", "", "10.0.0.1;10.0.0.7", "::g", "%eth0"}) {
    EXPECT_FALSE(IsLiteralAddress(host)) << host;
  }
  EXPECT_TRUE(NamesHost("tcp://localhost:1"));
  EXPECT_FALSE(NamesHost("tcp://127.0.0.1:1"));
  EXPECT_FALSE(NamesHost("ipc:///tmp/x"));
  EXPECT_FALSE(NamesHost(""));
}

TEST(EndpointTest, WhatCannotBeConnectedToIsSaidWithItsField) {
  const auto message = [](const std::string& endpoint) {
    return std::string(MessageOf(CheckConnectable("event_endpoint", endpoint)));
  };
  for (const char* endpoint :
       {"tcp://host:1", "tcp://127.0.0.1:1", "tcp://[::1]:1", "ipc:///tmp/x", "inproc://x"}) {
    EXPECT_EQ(message(endpoint), "") << endpoint;
  }
  for (const char* endpoint : {"tcp://*:1", "tcp://0.0.0.0:1", "tcp://[::]:1", "tcp://:::1"}) {
    EXPECT_THAT(message(endpoint), HasSubstr("name the engine's host")) << endpoint;
  }
  EXPECT_THAT(message("tcp://10.0.0.1;10.0.0.7:5557"), HasSubstr("which cannot be chosen"));
  EXPECT_THAT(message("inproc://kvroute-monitor-7"), HasSubstr("is kvroute's own"));
  for (const std::string& endpoint :
       {std::string(), std::string("gopher://x"), std::string("tcp://x"), std::string("ipc://"),
        std::string("inproc://"), "ipc://" + std::string(108, 'x')}) {
    EXPECT_THAT(message(endpoint), StartsWith("event_endpoint: cannot connect to ")) << endpoint;
  }
}

}  // namespace
}  // namespace kvroute
