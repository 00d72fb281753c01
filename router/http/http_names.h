#ifndef KVROUTE_ROUTER_HTTP_HTTP_NAMES_H_
#define KVROUTE_ROUTER_HTTP_HTTP_NAMES_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "indexer/base/clock.h"
#include "indexer/base/name_service.h"
#include "router/http/http_client.h"

namespace kvroute {

// Addresses of hosts' names for transfers: asked for elsewhere, remembered for a while, and while
// whoever knows names does not answer, what was the answer before.
//
// Thread safety: one thread.
class HttpNames {
 public:
  // How long an answer is good for.
  static constexpr std::chrono::seconds kHold{10};

  // `wake` is woken when Poll has something to do; `on_answer` is called by Poll.
  HttpNames(std::shared_ptr<NameService> names, std::shared_ptr<WakeFd> wake, const Clock* clock,
            std::function<void(HttpTransferId, const NameAnswer&)> on_answer);

  // nullptr: not known; `transfer` is called back when it is.
  const NameAnswer* Find(const std::string& host, HttpTransferId transfer);
  // It does not wait any more.
  void Forget(const std::string& host, HttpTransferId transfer);
  void Poll();

 private:
  struct Host {
    NameAnswer answer;  // of the last question that was answered
    Nanos answered_at{0};
    std::shared_ptr<const NameLookups::Question> question;  // null: none is open
    std::vector<HttpTransferId> waiting;
  };

  void MakeRoom();

  NameLookups lookups_;
  const Clock* const clock_;
  const std::function<void(HttpTransferId, const NameAnswer&)> on_answer_;
  absl::flat_hash_map<std::string, Host> hosts_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_HTTP_HTTP_NAMES_H_
