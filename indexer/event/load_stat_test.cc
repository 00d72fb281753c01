#include "indexer/event/load_stat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace kvroute {
namespace {

using testing::HasSubstr;

// As msgspec writes ["LoadStat", 3, 2, 4096, 65536, 0]: SGLang 0.5.20.
constexpr std::string_view kOld("\x96\xa8LoadStat\x03\x02\xcd\x10\x00\xce\x00\x01\x00\x00\x00", 21);
// The same of 0.5.23: waiting uncached 1500, total 6000, max running 128, and two counters.
constexpr std::string_view kNew(
    "\x9b\xa8LoadStat\x03\x02\xcd\x10\x00\xce\x00\x01\x00\x00\x00"
    "\xcd\x05\xdc\xcd\x17\x70\xcc\x80\xce\x00\x06\x3f\x35\xce\x04\x63\x93\x8e",
    39);

TEST(LoadStatTest, BothFormsAreRead) {
  for (const std::string_view payload : {kOld, kNew}) {
    const auto stat = ReadLoadStat(payload);
    ASSERT_TRUE(stat.ok()) << stat.status();
    EXPECT_EQ(stat->running, 3u);
    EXPECT_EQ(stat->waiting, 2u);
    EXPECT_EQ(stat->used_tokens, 4'096u);
    EXPECT_EQ(stat->capacity_tokens, 65'536u);
  }
  EXPECT_FALSE(ReadLoadStat(kOld)->waiting_uncached_tokens);
  EXPECT_EQ(ReadLoadStat(kNew)->waiting_uncached_tokens, 1'500u);
}

TEST(LoadStatTest, WhatIsNotSaidMayBeNil) {
  std::string payload(kNew.substr(0, 20));
  payload += "\xc0\xc0\xc0\xc0\xc0\xc0";
  const auto stat = ReadLoadStat(payload);
  ASSERT_TRUE(stat.ok()) << stat.status();
  EXPECT_FALSE(stat->waiting_uncached_tokens);
}

TEST(LoadStatTest, EveryBeginningOfOneIsAnError) {
  for (size_t size = 0; size < kNew.size(); ++size) {
    EXPECT_FALSE(ReadLoadStat(kNew.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(ReadLoadStat(std::string(kNew) + "x").ok());
}

TEST(LoadStatTest, ErrorsNameTheField) {
  const std::pair<std::string, std::string> wrong[] = {
      {std::string("\x80", 1), "no msgpack array"},
      {std::string("\x91\xa3xyz", 5), "no LoadStat"},
      {std::string("\x90", 1), "no LoadStat"},
      {std::string("\x91\xa8LoadStat"), "num_running_reqs: absent"},
      {std::string("\x92\xa8LoadStat\xff"), "num_running_reqs: no whole number"},
      {std::string("\x92\xa8LoadStat\xcb\x3f\xf0\0\0\0\0\0\0", 19), "num_running_reqs"},
      {std::string("\x93\xa8LoadStat\x01\xcf\0\0\0\x01\0\0\0\0", 20), "num_waiting_reqs"},
      {std::string("\x94\xa8LoadStat\x01\x01\xc0"), "num_tokens"},
      {std::string("\x97\xa8LoadStat\x01\x01\x01\x01\xc0\xa1x"), "num_waiting_uncached_tokens"}};
  for (const auto& [payload, what] : wrong) {
    const auto stat = ReadLoadStat(payload);
    ASSERT_FALSE(stat.ok()) << what;
    EXPECT_THAT(std::string(stat.status().message()), HasSubstr(what));
  }
}

}  // namespace
}  // namespace kvroute
