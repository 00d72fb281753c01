// Bytes are damaged: on the way, or by the engine itself.
#include "test/chaos/chaos_fixture.h"

namespace kvroute {
namespace {

using CorruptBatch = ChaosTest;

TEST_F(CorruptBatch, IsCountedAndTheStreamSaysSo) {
  StartWith({"a", "b"});
  engine("a").sockets().faults().corrupt = 3;
  engine("a").Steps(20);
  engine("b").Steps(20);
  ASSERT_TRUE(WaitUntilDegraded("a", "decode_errors"));
  ASSERT_TRUE(WaitFor("a up to date",
                      [&] { return State("a").next_seq() == engine("a").sockets().next_seq(); }));
  EXPECT_GE(State("a").rejected_batches(), 3u);
  ASSERT_TRUE(WaitUntilExact("b"));
  ExpectAnswersEqualModel({"b"});
  EXPECT_TRUE(server().running());

  engine("a").Clear();
  engine("a").Steps(10);
  ASSERT_TRUE(WaitUntilExact("a"));
  ExpectAnswersEqualModel({"a", "b"});
}

TEST_F(CorruptBatch, InThePastIsFoundByTheReplay) {
  StartServer();
  AddEngine("a");
  engine("a").Steps(10);
  engine("a").sockets().faults().corrupt = 1;
  engine("a").Steps(10);
  Register("a");
  ASSERT_TRUE(WaitUntilDegraded("a", "decode_errors"));
  engine("a").Clear();
  ASSERT_TRUE(WaitUntilExact("a"));
  ExpectAnswersEqualModel({"a"});
}

TEST_F(CorruptBatch, AFloodOfRubbishHurtsNobodyElse) {
  StartWith({"a", "b"});
  std::string rubbish;
  for (int i = 0; i < 500; ++i) {
    rubbish.clear();
    for (uint64_t size = random()() % 300; size > 0; --size)
      rubbish.push_back(static_cast<char>(random()()));
    engine("a").sockets().Publish(rubbish);
    engine("b").Step();
  }
  ASSERT_TRUE(WaitFor("a up to date",
                      [&] { return State("a").next_seq() == engine("a").sockets().next_seq(); }));
  ASSERT_TRUE(WaitUntilDegraded("a", "decode_errors"));
  EXPECT_GT(State("a").rejected_batches(), 400u);
  ASSERT_TRUE(WaitUntilExact("b"));
  ExpectAnswersEqualModel({"b"});
}

}  // namespace
}  // namespace kvroute
