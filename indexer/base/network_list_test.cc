#include "indexer/base/network_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

using testing::HasSubstr;

NetworkList MustParse(std::string_view text) {
  const auto list = NetworkList::Parse(text);
  EXPECT_TRUE(list.ok()) << list.status();
  return list.value_or(NetworkList());
}

TEST(NetworkList, AllowsWhatLiesInOneOfItsNetworks) {
  const NetworkList list = MustParse("10.1.0.0/16, fd00::/8,192.0.2.7");
  for (const char* address : {"10.1.0.1", "10.1.255.255", "fd12::1", "[fdff::]", "192.0.2.7",
                              "::ffff:10.1.0.1", "64:ff9b::10.1.0.1"}) {
    EXPECT_TRUE(list.Allows(address)) << address;
  }
  for (const char* address : {"10.2.0.1", "fc00::1", "192.0.2.6", "::ffff:10.2.0.1", "engine", "",
                              "127.0.0.1", "10.1.0.1/8"}) {
    EXPECT_FALSE(list.Allows(address)) << address;
  }
  EXPECT_EQ(list.text(), "10.1.0.0/16, fd00::/8, 192.0.2.7");
}

TEST(NetworkList, UsuallyRefusesWhereOnlyThisMachineAndItsCloudAre) {
  const NetworkList list = NetworkList::Usual(/*with_loopback=*/false);
  for (const char* address :
       {"169.254.169.254", "127.0.0.1", "127.8.8.8", "::1", "fe80::1", "fe80::1%eth0", "0.0.0.0",
        "::", "224.0.0.1", "255.255.255.255", "ff02::1", "fd00:ec2::254", "100.100.100.200",
        "::ffff:169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe"}) {
    EXPECT_FALSE(list.Allows(address)) << address;
  }
  for (const char* address : {"10.0.0.7", "192.168.1.1", "8.8.8.8", "fd00::7", "2001:db8::1"}) {
    EXPECT_TRUE(list.Allows(address)) << address;
  }
  EXPECT_THAT(list.text(), HasSubstr("any but 0.0.0.0/8, 169.254.0.0/16"));
  const NetworkList local = NetworkList::Usual(/*with_loopback=*/true);
  EXPECT_TRUE(local.AllowsLoopback());
  EXPECT_FALSE(local.Allows("169.254.169.254"));
}

TEST(NetworkList, SaysWhatIsNoNetwork) {
  for (const char* text : {"10.0.0.0/33", "10.0.0.0/-1", "fd00::/129", "10.0.0/8", "a",
                           "10.0.0.0/8,", "10.0.0.0/8/8", "10.0.0.0/x"}) {
    EXPECT_THAT(MessageOf(NetworkList::Parse(text).status()), HasSubstr("is no network")) << text;
  }
}

}  // namespace
}  // namespace kvroute
