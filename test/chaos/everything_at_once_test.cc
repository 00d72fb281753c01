// All failures, at random, on several engines at once: in the end every stream is exact and right,
// or says that it is not.
#include <chrono>

#include "test/chaos/chaos_fixture.h"

namespace kvroute {
namespace {

class EverythingAtOnce : public ChaosTest {
 protected:
  void Misbehave(ChaosEngine* engine) {
    PublisherFaults& faults = engine->sockets().faults();
    switch (random()() % 8) {
      case 0:
        faults.drop_live += 1 + random()() % 5;
        break;
      case 1:
        faults.duplicate += 1 + random()() % 5;
        break;
      case 2:
        faults.drop_replies += random()() % 3;
        break;
      case 3:
        faults.replies_per_serve = random()() % 3;
        break;
      case 4:
        engine->SetServing(random()() % 3 != 0);
        break;
      case 5:
        engine->Clear();
        break;
      case 6:
        faults.lose += random()() % 2;
        break;
      case 7:
        if (random()() % 4 == 0) engine->Restart();
        break;
    }
  }
};

TEST_F(EverythingAtOnce, EndsInTheTruth) {
  const std::vector<std::string> ids = {"a", "b", "c"};
  AddEngine("a", {.random_clears = true});
  AddEngine("c", {.format = {.style = WireStyle::kSglangMap}, .random_clears = true});
  StartWith(ids, 20);
  for (int round = 0; round < 60; ++round) {
    for (const std::string& id : ids) {
      Misbehave(&engine(id));
      engine(id).Steps(static_cast<int>(random()() % 10));
      if (engine(id).serving()) engine(id).sockets().Serve(std::chrono::milliseconds(1));
      State(id);
    }
  }
  for (const std::string& id : ids) {
    engine(id).SetServing(true);
    engine(id).sockets().faults() = {};
    engine(id).Step();
  }
  // What was lost for good makes a stream say so; a clear is where it can be exact again.
  for (const std::string& id : ids) {
    ASSERT_TRUE(WaitFor(id + " settled", [&] {
      const v1::StreamState state = State(id);
      return state.next_seq() == engine(id).sockets().next_seq() &&
             (state.trust() == v1::TRUST_EXACT || state.trust() == v1::TRUST_DEGRADED);
    }));
    if (State(id).trust() == v1::TRUST_EXACT) ExpectAnswersEqualModel({id});
  }
  for (const std::string& id : ids) {
    engine(id).Clear();
    engine(id).Steps(30);
    ASSERT_TRUE(WaitUntilExact(id));
  }
  ExpectAnswersEqualModel(ids, 200);
}

}  // namespace
}  // namespace kvroute
