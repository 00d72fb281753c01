#include "indexer/event/msgpack_writer.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/escaping.h"

namespace kvroute {
namespace {

template <typename Write>
std::string Hex(Write write) {
  std::string bytes;
  MsgpackWriter writer(&bytes);
  write(writer);
  return absl::BytesToHexString(bytes);
}

std::string HexOfUint(uint64_t value) {
  return Hex([&](MsgpackWriter& writer) { writer.Uint(value); });
}

std::string HexOfInt(int64_t value) {
  return Hex([&](MsgpackWriter& writer) { writer.Int(value); });
}

TEST(MsgpackWriter, IntegersTakeTheirShortestForm) {
  EXPECT_EQ(HexOfUint(127), "7f");
  EXPECT_EQ(HexOfUint(128), "cc80");
  EXPECT_EQ(HexOfUint(255), "ccff");
  EXPECT_EQ(HexOfUint(256), "cd0100");
  EXPECT_EQ(HexOfUint(65'535), "cdffff");
  EXPECT_EQ(HexOfUint(65'536), "ce00010000");
  EXPECT_EQ(HexOfUint(UINT32_MAX), "ceffffffff");
  EXPECT_EQ(HexOfUint(uint64_t{UINT32_MAX} + 1), "cf0000000100000000");
  EXPECT_EQ(HexOfInt(5), "05");
  EXPECT_EQ(HexOfInt(-1), "ff");
  EXPECT_EQ(HexOfInt(-32), "e0");
  EXPECT_EQ(HexOfInt(-33), "d0df");
  EXPECT_EQ(HexOfInt(-129), "d1ff7f");
  EXPECT_EQ(HexOfInt(-32'769), "d2ffff7fff");
  EXPECT_EQ(HexOfInt(INT64_MIN), "d38000000000000000");
}

TEST(MsgpackWriter, SizedValuesTakeTheirShortestHeader) {
  const auto head = [](auto write) { return Hex(write).substr(0, 6); };
  EXPECT_EQ(head([](MsgpackWriter& w) { w.Str(std::string(31, 'a')); }), "bf6161");
  EXPECT_EQ(head([](MsgpackWriter& w) { w.Str(std::string(32, 'a')); }), "d92061");
  EXPECT_EQ(head([](MsgpackWriter& w) { w.Str(std::string(256, 'a')); }), "da0100");
  EXPECT_EQ(head([](MsgpackWriter& w) { w.Bin(std::string(32, 'a')); }), "c42061");
  EXPECT_EQ(Hex([](MsgpackWriter& w) { w.Array(15); }), "9f");
  EXPECT_EQ(Hex([](MsgpackWriter& w) { w.Array(16); }), "dc0010");
  EXPECT_EQ(Hex([](MsgpackWriter& w) { w.Array(65'536); }), "dd00010000");
  EXPECT_EQ(Hex([](MsgpackWriter& w) { w.Map(15); }), "8f");
  EXPECT_EQ(Hex([](MsgpackWriter& w) { w.Map(16); }), "de0010");
}

}  // namespace
}  // namespace kvroute
