#ifndef KVROUTE_TEST_SUPPORT_PICKER_SURFACE_FIXTURE_H_
#define KVROUTE_TEST_SUPPORT_PICKER_SURFACE_FIXTURE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "test/support/picker_fixture.h"

namespace kvroute {

// Asks a picker in full duplex, and reads what its answers say beside the endpoint.
class PickerSurfaceTest : public PickerTest {
 protected:
  void Add(const std::string& id, const std::string& address, WorkerRole role = WorkerRole::kDecode,
           uint32_t limit = 0) {
    WorkerSpec spec = Spec(id);
    spec.address = address;
    spec.role = role;
    spec.max_requests_in_flight = limit;
    AddWorker(spec);
  }
  static std::string Set(const EnvoyResponse& reply, const std::string& name) {
    const auto& common = reply.has_request_body()       ? reply.request_body().response()
                         : reply.has_response_headers() ? reply.response_headers().response()
                                                        : reply.request_headers().response();
    std::string value;
    for (const auto& set : common.header_mutation().set_headers()) {
      if (set.header().key() == name) value += set.header().raw_value();
    }
    return value;
  }
  static std::vector<std::string> Removed(const EnvoyResponse& reply) {
    const auto& removed = reply.request_headers().response().header_mutation().remove_headers();
    return {removed.begin(), removed.end()};
  }
  // The answers to a request with its body, in full duplex.
  std::vector<EnvoyResponse> Ask(const std::string& body,
                                 std::vector<std::pair<std::string, std::string>> headers = {}) {
    headers.emplace_back(":path", kGenerate);
    Open();
    EXPECT_THAT(Say(HeadersOf(headers)), testing::IsEmpty());
    return Say(Body(body, true));
  }
  uint64_t Count(PrefillChoice choice) const {
    return picker_stats_.prefills[static_cast<size_t>(choice)];
  }
  uint64_t Count(Rewrite rewrite) const {
    return picker_stats_.rewrites[static_cast<size_t>(rewrite)];
  }
  using PickerTest::Count;
  void Publish(const std::vector<RequestRules::Objective>& objectives,
               std::vector<ModelRewrite> rewrites = {}) {
    rules_.Publish(std::make_shared<RequestRules>(objectives, std::move(rewrites)));
  }
  const TargetLoad& LoadOf(const std::string& id) {
    return *fleet_.Snapshot()->targets[*fleet_.Snapshot()->FindTarget(id, 0)].load;
  }
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_PICKER_SURFACE_FIXTURE_H_
