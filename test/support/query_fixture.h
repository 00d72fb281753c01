#ifndef KVROUTE_TEST_SUPPORT_QUERY_FIXTURE_H_
#define KVROUTE_TEST_SUPPORT_QUERY_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "router/route/query_handler.h"
#include "test/support/routing_fixture.h"

namespace kvroute {

// Queries asked in process, over a fleet of the test's.
class QueryHandlerTest : public testing::Test, protected RoutingFixture {
 protected:
  static v1::RouteRequest Ask(const std::vector<TokenId>& tokens, const std::string& policy = "") {
    v1::RouteRequest request;
    request.set_model("m");
    request.set_policy(policy);
    for (const TokenId token : tokens) request.mutable_prompt()->add_token_ids(token);
    return request;
  }
  v1::RouteResponse Route(const v1::RouteRequest& request) {
    v1::RouteResponse response;
    const absl::Status status = queries_.Route(request, &response);
    EXPECT_TRUE(status.ok()) << status;
    return response;
  }
  absl::Status RouteError(const v1::RouteRequest& request) {
    v1::RouteResponse response;
    return queries_.Route(request, &response);
  }
  void ExpectError(const absl::Status& status, absl::StatusCode code, const std::string& part) {
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(part));
  }
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_QUERY_FIXTURE_H_
