#ifndef KVROUTE_TEST_SUPPORT_FAKE_KUBE_API_H_
#define KVROUTE_TEST_SUPPORT_FAKE_KUBE_API_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "indexer/base/mutex.h"
#include "test/support/fake_http_server.h"

namespace kvroute::testing_support {

struct FakePod {
  std::string name;
  std::string ip = "127.0.0.1";
  std::string uid = "u1";
  bool ready = true;
  bool terminating = false;
  std::string phase = "Running";
  std::string labels = R"("app":"vllm")";  // as JSON members
  std::string annotations = "";

  std::string Json() const;
};

std::string PoolJson(std::string_view name, std::string_view selector, std::string_view ports);

// An API server of Kubernetes, as far as lists and watches go, that fails as it is told. A kind is
// the last part of a path: "pods", "inferencepools".
//
// Thread safety: every method from any thread.
class FakeKubeApi {
 public:
  enum class Fault : uint8_t {
    kNone,
    kDown,         // every connection is reset
    kHalfLine,     // the next event is sent by half, and the connection reset
    kGarbageLine,  // instead of the next event
    kHugeLine,     // the same, of 8 MiB
    kSilent,       // watches send nothing
    kHtml,         // every reply is a page of somebody's proxy
  };

  explicit FakeKubeApi(const FakeHttpServer::Options& options = {});
  ~FakeKubeApi();

  std::string Url() const { return server_->Url(""); }

  void Put(const std::string& kind, const std::string& name, std::string json);
  void Put(const FakePod& pod) { Put("pods", pod.name, pod.Json()); }
  void Delete(const std::string& kind, const std::string& name);
  // A bookmark to every watch.
  void Bookmark();
  // What has happened so far is forgotten: watches from before it, and lists that go on, are 410.
  void Compact();
  // Ends every connection.
  void Cut() { server_->CloseConnections(); }
  void Set(Fault fault);
  void RequireToken(std::string token);
  void HideKind(std::string path_part);  // 404 for paths that contain it

  int lists() const;    // requests for first pages
  int pages() const;    // for all pages
  int watches() const;  // requests to watch
  std::string last_query() const;
  // Until so many watches have been asked for.
  void AwaitWatches(int count);

 private:
  struct Event {
    uint64_t version;
    std::string kind;
    std::string line;
  };

  void Handle(FakeHttpExchange* exchange);
  void List(FakeHttpExchange* exchange, const std::string& kind);
  void Watch(FakeHttpExchange* exchange, const std::string& kind);
  // `watch`: its number; faults of the next event are for the newest one.
  bool SendEvent(FakeHttpExchange* exchange, const std::string& line, int watch);
  void Record(const std::string& kind, std::string_view type, const std::string& json)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string Versioned(const std::string& json) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  CondVar changed_;
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 100;
  uint64_t compacted_ ABSL_GUARDED_BY(mutex_) = 0;
  Fault fault_ ABSL_GUARDED_BY(mutex_) = Fault::kNone;
  std::string token_ ABSL_GUARDED_BY(mutex_);
  std::string hidden_ ABSL_GUARDED_BY(mutex_);
  std::string last_query_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::map<std::string, std::string>> objects_ ABSL_GUARDED_BY(mutex_);
  std::vector<Event> events_ ABSL_GUARDED_BY(mutex_);
  int lists_ ABSL_GUARDED_BY(mutex_) = 0;
  int pages_ ABSL_GUARDED_BY(mutex_) = 0;
  int watches_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<FakeHttpServer> server_;  // last
};

}  // namespace kvroute::testing_support

#endif  // KVROUTE_TEST_SUPPORT_FAKE_KUBE_API_H_
