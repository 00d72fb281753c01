#ifndef KVROUTE_TEST_SUPPORT_HTTP_ASKING_H_
#define KVROUTE_TEST_SUPPORT_HTTP_ASKING_H_

#include <future>
#include <memory>
#include <string>
#include <utility>

#include "indexer/base/check.h"
#include "router/http/http_client.h"

namespace kvroute::testing_support {

inline std::unique_ptr<HttpClient> StartedHttpClient(const HttpClientOptions& options = {}) {
  auto client = HttpClient::Start(options);
  KVROUTE_CHECK(client.ok());
  return *std::move(client);
}

// A transfer whose end can be waited for.
class Asked {
 public:
  // `pieces` gets what comes, if it is not null; it outlives the transfer.
  Asked(HttpClient* client, HttpRequest request, HttpOnData on_data = nullptr) {
    auto ended = std::make_shared<std::promise<HttpReply>>();
    reply_ = ended->get_future();
    id = client->Stream(std::move(request), std::move(on_data),
                        [ended](HttpReply reply) { ended->set_value(std::move(reply)); });
  }
  HttpReply Wait() { return reply_.get(); }
  bool HasEnded() const {
    return reply_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }

  HttpTransferId id;

 private:
  std::future<HttpReply> reply_;
};

inline HttpReply Ask(HttpClient* client, HttpRequest request) {
  return Asked(client, std::move(request)).Wait();
}

inline HttpRequest GetOf(std::string url) {
  HttpRequest request;
  request.url = std::move(url);
  request.deadline = std::chrono::seconds(60);  // against hangs only
  request.connect_timeout = std::chrono::seconds(60);
  return request;
}

}  // namespace kvroute::testing_support

#endif  // KVROUTE_TEST_SUPPORT_HTTP_ASKING_H_
