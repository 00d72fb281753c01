// kvroute itself dies and is started again: it keeps nothing and learns everything from the
// engines.
#include "test/chaos/chaos_fixture.h"

namespace kvroute {
namespace {

class ServerRestart : public ChaosTest {
 protected:
  void RegisterAll(const std::vector<std::string>& ids) {
    for (const std::string& id : ids) ASSERT_NO_FATAL_FAILURE(Register(id));
    for (const std::string& id : ids) ASSERT_TRUE(WaitUntilExact(id));
  }
};

TEST_F(ServerRestart, KilledItRebuildsByReplay) {
  AddEngine("positional", {.format = {.style = WireStyle::kVllmPositional}});
  AddEngine("map", {.format = {.style = WireStyle::kVllmMap}, .random_clears = true});
  AddEngine("bytes", {.format = {.style = WireStyle::kVllmBytes}});
  AddEngine("sglang", {.format = {.style = WireStyle::kSglangMap}});
  const std::vector<std::string> all = {"positional", "map", "bytes", "sglang"};
  StartWith(all, 200);
  server().Kill();
  for (const std::string& id : all) engine(id).Steps(20);  // published to nobody
  StartServer();
  RegisterAll(all);
  ExpectAnswersEqualModel(all);
}

TEST_F(ServerRestart, WhatTheEnginesNoLongerHaveIsSaid) {
  AddEngine("a", {.sockets = {.buffer_steps = 50}});
  AddEngine("b");
  StartWith({"b"}, 100);
  engine("a").Steps(200);
  server().Kill();
  StartServer();
  Register("a");
  RegisterAll({"b"});
  ASSERT_TRUE(WaitUntilDegraded("a", "replay_trimmed"));
  engine("a").Clear();
  ASSERT_TRUE(WaitUntilExact("a"));
  ExpectAnswersEqualModel({"a", "b"});
}

TEST_F(ServerRestart, AskedToEndItDoesSoCleanly) {
  StartWith({"a"});
  EXPECT_EQ(server().Terminate(), 0) << server().Log();
}

}  // namespace
}  // namespace kvroute
