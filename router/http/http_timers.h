#ifndef KVROUTE_ROUTER_HTTP_HTTP_TIMERS_H_
#define KVROUTE_ROUTER_HTTP_HTTP_TIMERS_H_

#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "indexer/base/clock.h"
#include "router/http/http_client.h"

namespace kvroute {

// What is to be done at a time, earliest first. Thread safety: one thread.
class HttpTimers {
 public:
  void Add(HttpTimerId id, Nanos at, std::function<void()> work) {
    at_.emplace(id, at);
    due_.emplace(std::pair(at, id), std::move(work));
  }
  void Cancel(HttpTimerId id) {
    const auto it = at_.find(id);
    if (it == at_.end()) return;
    due_.erase({it->second, id});
    at_.erase(it);
  }
  // nullopt: there is none.
  std::optional<Nanos> Next() const {
    if (due_.empty()) return std::nullopt;
    return due_.begin()->first.first;
  }
  // Takes out the first one that is due; an empty function: none is.
  std::function<void()> TakeDue(Nanos now) {
    if (due_.empty() || due_.begin()->first.first > now) return nullptr;
    auto node = due_.extract(due_.begin());
    at_.erase(node.key().second);
    return std::move(node.mapped());
  }

 private:
  absl::flat_hash_map<HttpTimerId, Nanos> at_;
  std::map<std::pair<Nanos, HttpTimerId>, std::function<void()>> due_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_HTTP_HTTP_TIMERS_H_
