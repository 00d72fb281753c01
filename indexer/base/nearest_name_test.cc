#include "indexer/base/nearest_name.h"

#include <gtest/gtest.h>

namespace kvroute {
namespace {

const std::vector<std::string> kCommands = {"serve",  "fleet",  "load",    "top",
                                            "decode", "corpus", "convert", "register"};

TEST(NearestNameTest, OneLetterTooManyTooFewOtherOrSwapped) {
  EXPECT_EQ(NearestName("sserve", kCommands), "serve");
  EXPECT_EQ(NearestName("srve", kCommands), "serve");
  EXPECT_EQ(NearestName("sarve", kCommands), "serve");
  EXPECT_EQ(NearestName("zzzve", kCommands), "");
  EXPECT_EQ(NearestName("sevre", kCommands), "serve");
  EXPECT_EQ(NearestName("tpo", kCommands), "top");
  EXPECT_EQ(NearestName("addres", {"address", "model"}), "address");
}

TEST(NearestNameTest, CaseAndDashesAreNoDifference) {
  EXPECT_EQ(NearestName("SERVE", kCommands), "serve");
  EXPECT_EQ(NearestName("--grpc_listen", {"--grpc-listen", "--http-listen"}), "--grpc-listen");
}

TEST(NearestNameTest, ABeginningThatIsUnique) {
  EXPECT_EQ(NearestName("reg", kCommands), "register");
  EXPECT_EQ(NearestName("co", kCommands), "") << "corpus and convert";
}

TEST(NearestNameTest, NothingIsGuessedFromFarAway) {
  EXPECT_EQ(NearestName("bogus", kCommands), "");
  EXPECT_EQ(NearestName("", kCommands), "");
  EXPECT_EQ(NearestName("x", {}), "");
  EXPECT_EQ(NearestName("lame", {"lane", "lamp"}), "") << "equally near";
  EXPECT_EQ(NearestName("lane", {"lanes", "line"}), "lanes") << "it begins so";
  EXPECT_EQ(NearestName(std::string(1'000'000, 's'), kCommands), "");
}

TEST(NearestNameTest, TheEndOfAnErrorMessage) {
  EXPECT_EQ(DidYouMean("sevre", kCommands), "; did you mean \"serve\"?");
  EXPECT_EQ(DidYouMean("bogus", kCommands), "");
}

}  // namespace
}  // namespace kvroute
