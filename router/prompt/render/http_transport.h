#ifndef KVROUTE_ROUTER_PROMPT_RENDER_HTTP_TRANSPORT_H_
#define KVROUTE_ROUTER_PROMPT_RENDER_HTTP_TRANSPORT_H_

#include "router/http/http_client.h"
#include "router/prompt/render/render_transport.h"

namespace kvroute {

// Calls to renderers by the process's HTTP client. Ownership: the client must outlive it, and ends
// what is open when it goes.
class HttpTransport final : public RenderTransport {
 public:
  // `client_networks`: where alone they may be that clients named; may be null, for anywhere.
  explicit HttpTransport(HttpClient* client, const NetworkList* client_networks = nullptr)
      : client_(client), client_networks_(client_networks) {}

  uint64_t Send(Call call, std::function<void(Reply)> done) override;
  void Cancel(uint64_t id) override;
  void Run(std::function<void()> work) override;
  void RunAfter(Nanos delay, std::function<void()> work) override;

 private:
  HttpClient* const client_;
  const NetworkList* const client_networks_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_RENDER_HTTP_TRANSPORT_H_
