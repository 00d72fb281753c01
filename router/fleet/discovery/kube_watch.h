#ifndef KVROUTE_ROUTER_FLEET_DISCOVERY_KUBE_WATCH_H_
#define KVROUTE_ROUTER_FLEET_DISCOVERY_KUBE_WATCH_H_

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/random/random.h"
#include "indexer/base/enum_names.h"
#include "indexer/base/log.h"
#include "router/fleet/discovery/kube_objects.h"
#include "router/http/http_client.h"

namespace kvroute {

struct KubeServer {
  std::string url;  // "https://10.0.0.1:443"
  HttpTls tls;
  std::string token_file;  // empty: none
};

struct KubeWatchOptions {
  KubeServer server;
  // "/api/v1/namespaces/ns/pods"; further ones are tried where the server knows no such kind.
  std::vector<std::string> paths;
  std::string query;  // "labelSelector=...", encoded; empty: all
  std::chrono::milliseconds retry_min{200};
  std::chrono::milliseconds retry_max{30'000};
  std::chrono::seconds watch_for{60};  // then the server ends a watch, and it is begun anew
  size_t page_items = 250;
  // A server that knows no such kind, or does not show it, is nothing to be told of more than once.
  bool optional = false;
};

// What a watch is doing. docs/operations.md says what each means.
enum class KubeWatchState : uint8_t {
  kListing,
  kWatching,
  kWaiting,
  kAbsent,  // the server knows no such kind, which is optional; it is asked again now and then
};
inline constexpr auto kKubeWatchStateNames =
    NamesUpTo<KubeWatchState::kAbsent>("listing", "watching", "waiting", "absent");

// How an attempt ended that did not do what it should. Metric label values.
enum class KubeTrouble : uint8_t {
  kConnection,    // no reply, or half of one
  kRefused,       // 401 or 403
  kUnknownKind,   // 404 for every path
  kExpired,       // 410: too much has happened since; it is listed again
  kStatus,        // any other status
  kNotUnderstood  // what came is no list, or no line of a watch
};
inline constexpr auto kKubeTroubleNames = NamesUpTo<KubeTrouble::kNotUnderstood>(
    "connection", "refused", "unknown_kind", "expired", "status", "not_understood");
inline constexpr size_t kKubeTroubleCount = kKubeTroubleNames.size();

struct KubeWatchCounts {
  std::atomic<KubeWatchState> state{KubeWatchState::kListing};
  std::atomic<bool> listed{false};  // once at least
  std::atomic<uint64_t> lists{0};   // whole ones
  std::atomic<uint64_t> events{0};
  std::array<std::atomic<uint64_t>, kKubeTroubleCount> troubles{};
};

// The objects of one kind at an API server of Kubernetes: listed, then watched, and listed again
// when that is needed. While the server is not there, or says nonsense, nothing is called: what was
// known stays so.
//
// Thread safety: callbacks run on the client's thread; Start, Stop and the destructor are for that
// thread too. Ownership: the client and the counts outlive it.
class KubeWatch {
 public:
  using OnList = std::function<void(std::vector<KubeObject>)>;
  using OnEvent = std::function<void(KubeChange, KubeObject)>;

  KubeWatch(HttpClient* client, KubeWatchOptions options, KubeWatchCounts* counts, OnList on_list,
            OnEvent on_event);
  ~KubeWatch();
  KubeWatch(const KubeWatch&) = delete;
  KubeWatch& operator=(const KubeWatch&) = delete;

  void Start() { List(); }

 private:
  // Of whatever is under way: another one has begun, or the watch is gone, and it is nobody's.
  struct Turn {};

  void List();
  void AskPage();
  void OnPage(const HttpReply& reply);
  void Watch();
  void OnData(std::string_view piece);
  void OnLine(std::string_view line);
  void OnWatchEnd(const HttpReply& reply);
  // Lists or watches again, after a pause.
  void Retry(KubeTrouble trouble, std::string_view why, bool lists);
  static KubeTrouble TroubleOf(const HttpReply& reply);
  void Say(KubeTrouble trouble, std::string_view why);
  HttpRequest RequestFor(const std::string& query) const;
  // Runs `work` unless something else has begun since.
  template <typename... Args>
  std::function<void(Args...)> InTurn(void (KubeWatch::*work)(Args...));

  HttpClient* const client_;
  const KubeWatchOptions options_;
  KubeWatchCounts* const counts_;
  const OnList on_list_;
  const OnEvent on_event_;

  KubeReader reader_;
  size_t path_ = 0;     // of options_.paths: which the server knows
  size_t unknown_ = 0;  // paths that it has said it does not, since it knew one
  std::vector<KubeObject> listed_;
  std::string continue_;
  std::string version_;              // what a watch begins behind
  std::string line_;                 // the beginning of one
  bool must_list_ = false;           // the watch has lost something
  bool progressed_ = false;          // since the last pause
  std::optional<KubeTrouble> said_;  // of an optional kind, since it was last seen
  std::chrono::milliseconds pause_;
  HttpTransferId transfer_;
  HttpTimerId timer_;
  std::shared_ptr<Turn> turn_;
  absl::BitGen random_;
  LogLimiter limiter_{std::chrono::seconds(10)};
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_DISCOVERY_KUBE_WATCH_H_
