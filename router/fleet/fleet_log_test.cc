#include "router/fleet/fleet_log.h"

#include <gmock/gmock.h>

#include "indexer/base/log.h"
#include "test/support/fleet_fixture.h"

namespace kvroute {
namespace {

using testing::HasSubstr;

class FleetLogTest : public FleetFixture {
 protected:
  // What one look says, in JSON.
  std::string Look() {
    EXPECT_TRUE(ConfigureLog({.format = "json"}).ok());
    testing::internal::CaptureStderr();
    log_.Follow(*Settled());
    EXPECT_TRUE(FlushLog(std::chrono::milliseconds(60'000)));
    EXPECT_TRUE(ConfigureLog({}).ok());
    return testing::internal::GetCapturedStderr();
  }

  FleetLog log_;
};

TEST_F(FleetLogTest, SaysWhoCameWentAndChanged) {
  ASSERT_TRUE(fleet_.Register(Spec("a", 100)).ok());
  EXPECT_THAT(Look(),
              HasSubstr(R"("worker":"a","model":"m","source":"api","ranks":1,"change":"is new"})"));
  EXPECT_EQ(Look(), "") << "nothing has changed";
  ASSERT_TRUE(fleet_.SetDraining("a", true).ok());
  EXPECT_THAT(Look(), HasSubstr(R"(fleet: worker a (api, model m, 1 ranks) drains")"));
  ASSERT_TRUE(fleet_.Deregister("a").ok());
  EXPECT_THAT(Look(), HasSubstr(R"("change":"is gone"})"));
}

TEST_F(FleetLogTest, ManyChangesAtOnceAreANumber) {
  FleetLog log;
  FleetSnapshot fleet;
  const auto status = std::make_shared<StreamStatus>();
  for (size_t i = 0; i < FleetLog::kMostLines + 5; ++i) {
    auto worker = std::make_shared<FleetWorker>();
    worker->spec = Spec(absl::StrCat("w", i), 1);
    fleet.targets.push_back({worker, 0, status, nullptr});
  }
  testing::internal::CaptureStderr();
  log.Follow(fleet);
  EXPECT_TRUE(FlushLog(std::chrono::milliseconds(60'000)));
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("fleet: 5 more changes at once are not shown"));
}

}  // namespace
}  // namespace kvroute
