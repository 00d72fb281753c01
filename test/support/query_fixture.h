#ifndef KVROUTE_TEST_SUPPORT_QUERY_FIXTURE_H_
#define KVROUTE_TEST_SUPPORT_QUERY_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "router/route/router.h"
#include "test/support/routing_fixture.h"

namespace kvroute {

// A query with what it points into.
struct Request {
  std::vector<TokenId> token_ids;
  std::vector<uint64_t> hash_values;
  std::vector<TargetName> candidates;
  std::string model = "m";
  std::string policy;
  std::string request_id;
  Query rest;  // what points nowhere, and the form of hash_values

  Query View() const {
    Query query = rest;
    query.model = model;
    query.prompt.token_ids = token_ids;
    if (query.prompt.block_hashes) query.prompt.block_hashes->hashes = hash_values;
    query.candidates = candidates;
    query.request_id = request_id;
    query.policy = policy;
    return query;
  }
};

// Queries asked in process, over a fleet of the test's.
class RouterTest : public testing::Test, protected RoutingFixture {
 protected:
  static Request Ask(const std::vector<TokenId>& tokens, const std::string& policy = "") {
    Request request;
    request.token_ids = tokens;
    request.policy = policy;
    return request;
  }
  Decision Route(const Request& request) {
    Decision decision;
    const absl::Status status = router_.Route(request.View(), &decision);
    EXPECT_TRUE(status.ok()) << status;
    return decision;
  }
  // Where it goes; the lease is left to itself.
  std::string ChosenFor(const Request& request) {
    return std::string(Route(request).chosen.worker_id);
  }
  absl::Status RouteError(const Request& request) {
    Decision decision;
    return router_.Route(request.View(), &decision);
  }
  // Whether there was such a lease.
  bool Complete(std::string_view request_id, Progress progress = Progress::kEnded) {
    const absl::StatusOr<bool> known = router_.Complete({request_id, progress});
    EXPECT_TRUE(known.ok()) << known.status();
    return known.value_or(false);
  }
  static void ExpectError(const absl::Status& status, absl::StatusCode code,
                          const std::string& part) {
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(part));
  }
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_QUERY_FIXTURE_H_
