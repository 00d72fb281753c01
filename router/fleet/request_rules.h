#ifndef KVROUTE_ROUTER_FLEET_REQUEST_RULES_H_
#define KVROUTE_ROUTER_FLEET_REQUEST_RULES_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "router/fleet/published.h"

namespace kvroute {

// One of the models that a request may be sent on as, and its part of them.
struct RewriteTarget {
  std::string model;
  uint32_t weight = 1;
};

// Which models the requests of a model become.
struct ModelRewrite {
  std::optional<std::string> model;    // nullopt: of every one that has no rewrite of its own
  std::vector<RewriteTarget> targets;  // none, or none of any weight: they stay what they are
};

// What the gateway's operator says of requests, whichever engine serves them: how important those
// of an objective are, and which model is meant by a name.
//
// Thread safety: immutable once made; any thread.
class RequestRules {
 public:
  struct Objective {
    std::string name;
    int32_t priority = 0;  // below 0: may be refused when all are overloaded
  };
  // Of several of one name, or for one model, the first counts.
  RequestRules(const std::vector<Objective>& objectives, std::vector<ModelRewrite> rewrites);
  RequestRules() = default;

  // nullopt: there is none of that name.
  std::optional<int32_t> PriorityOf(std::string_view objective) const;
  // The model that a request for `model` is to be sent on as; empty: as it is. `random` chooses
  // among several, each number below 2^64 as likely as the next.
  std::string_view RewriteOf(std::string_view model, uint64_t random) const;

  size_t objectives() const { return priorities_.size(); }
  size_t rewrites() const { return by_model_.size() + (any_ ? 1 : 0); }

 private:
  static std::string_view Draw(absl::Span<const RewriteTarget> targets, uint64_t random);

  absl::flat_hash_map<std::string, int32_t> priorities_;
  absl::flat_hash_map<std::string, std::vector<RewriteTarget>> by_model_;
  std::optional<std::vector<RewriteTarget>> any_;
};

// The newest of them; nullptr: nobody has said any.
using PublishedRequestRules = Published<RequestRules>;

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_REQUEST_RULES_H_
