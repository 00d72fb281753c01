// The tables of states and inputs: the docs print them, and every cell that can happen does.
#include <array>
#include <random>
#include <string>
#include <vector>

#include "test/support/picker_fixture.h"
#include "test/support/printed_table.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string Unvisited(const PickerVisits& visits) {
  std::string missing;
  for (size_t i = 0; i < kPickerStateCount; ++i) {
    for (size_t j = 0; j < kPickerInputCount; ++j) {
      const PickerCell& cell = kPickerTable[i][j];
      if (cell.reaction == PickerReaction::kNever) continue;
      const std::string name =
          absl::StrCat(std::string(PickerStateName(static_cast<PickerState>(i))), " x ",
                       std::string(PickerInputName(static_cast<PickerInput>(j))));
      if (visits.visits[i][j] == 0) missing += "\n  " + name;
      for (size_t k = 0; k < kPickerStateCount; ++k) {
        const auto to = static_cast<PickerState>(k);
        if (!cell.leads_to.Contains(to) || visits.led_to[i][j].Contains(to)) continue;
        missing += "\n  " + name + " -> " + std::string(PickerStateName(to));
      }
    }
  }
  for (size_t i = 0; i < kResponseStateCount; ++i) {
    for (size_t j = 0; j < kResponseInputCount; ++j) {
      if (kResponseTable[i][j].step == LeaseStep::kUnanswered) continue;
      if (visits.response_visits[i][j] != 0) continue;
      missing += "\n  response " + std::string(ResponseStateName(static_cast<ResponseState>(i))) +
                 " x " + std::string(ResponseInputName(static_cast<ResponseInput>(j)));
    }
  }
  return missing;
}

class PickerCellsTest : public PickerTest {
 protected:
  PickerCellsTest() {
    AddAt("a", "10.0.0.1:8000");
    Start({.max_body_bytes = 200});
  }

  // A proxy that says anything in any order, though most often what comes next.
  void RandomStream(std::mt19937_64* random) {
    const auto one_in = [random](uint64_t n) { return (*random)() % n == 0; };
    Open();
    stream_->CountVisits(&visits_);
    ASSERT_TRUE(fleet_.SetDraining("a", one_in(4)).ok());
    host_.can_render = !one_in(4);
    const auto mode = static_cast<BodyMode>((*random)() % kBodyModeNames.size());
    const auto response = static_cast<BodyMode>((*random)() % kBodyModeNames.size());
    const bool without_waiting = one_in(2);
    for (uint64_t step = 0; step < 8; ++step) {
      const uint64_t what = step == 0 && !one_in(6) ? 0 : (*random)() % 14;
      EnvoyRequest message;
      if (what <= 1) message = HeadersTo(one_in(2) ? kChat : kGenerate, one_in(6));
      if (what >= 2 && what <= 6) message = Body(RandomBody(random), one_in(3));
      if (what == 7) message = Trailers();
      if (what == 8) message = Response("200", one_in(4));
      if (what == 9) message = ResponseBody(one_in(3) ? "" : "x", one_in(4));
      if (what == 10) message = ResponseTrailers();
      if (what == 11) Wait(one_in(2) ? milliseconds(100) : milliseconds(60'000));
      if (what == 12 && host_.rendering) {
        Rendered(8, one_in(3) ? RenderFailure::kServerError : RenderFailure::kNo);
      }
      if (what > 10) continue;
      if (step == 0 || one_in(10)) {
        message = WithModes(std::move(message), mode, response, without_waiting);
        message.set_observability_mode(one_in(10));
      }
      Say(message);
    }
    Close();
    host_.rendering = false;
  }
  static std::string RandomBody(std::mt19937_64* random) {
    switch ((*random)() % 5) {
      case 0:
        return "";
      case 1:
        return std::string((*random)() % 2 == 0 ? 150 : 250, 'x');
      case 2:
        return TokensBody(8);
      default:
        return kChatBody;
    }
  }

  PickerVisits visits_;
};

TEST_F(PickerCellsTest, EveryCellHappens) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 200'000 && (round % 1'000 != 0 || !Unvisited(visits_).empty());
       ++round) {
    RandomStream(&random);
  }
  EXPECT_EQ(Unvisited(visits_), "");
  // Whatever came, nothing is left behind.
  EXPECT_EQ(bodies_.used(), 0u);
  const LoadTrackerStats leases = loads_.Stats();
  EXPECT_EQ(leases.begun, leases.ended + leases.expired + leases.leases);
  EXPECT_LE(leases.expired + leases.leases, picker_stats_.leases_left);
}

TEST_F(PickerCellsTest, ThePagePrintsTheTables) {
  ExpectPageShows("docs/life-of-a-query.md", "the picker's states", "PickerTableMarkdown",
                  PickerTableMarkdown());
  ExpectPageShows("docs/life-of-a-query.md", "the response's states", "ResponseTableMarkdown",
                  ResponseTableMarkdown());
}

}  // namespace
}  // namespace kvroute
