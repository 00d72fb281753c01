#ifndef KVROUTE_TOOLS_ENGINE_ENGINE_SERVER_H_
#define KVROUTE_TOOLS_ENGINE_ENGINE_SERVER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/engine/engine_api.h"

namespace kvroute {

struct EngineServerOptions {
  std::vector<std::string> listen = {};  // host:port of each engine; port 0: any free one
  int threads = 2;                       // that read requests and write answers
  size_t max_body_bytes = size_t{64} << 20;
  size_t max_connections = 100'000;
};

// The HTTP face of many engines: HTTP/1.1 with keep-alive, answers in one piece or as server-sent
// events. Connections cost no thread. A client that goes away is noticed while it waits: its
// request is taken from the engine, as engines do.
//
// Every answer names the engine in x-simulated-engine; the header x-gateway-destination-endpoint of
// its request comes back as x-received-destination, so that a test sees whether a gateway sent it
// where a picker said.
//
// Thread safety: every method from any thread. Ownership: the host must outlive it; Stop ends the
// host's work. Errors: an address that cannot be bound, by name.
class EngineServer {
 public:
  static absl::StatusOr<std::unique_ptr<EngineServer>> Start(const EngineServerOptions& options,
                                                             const EngineApiOptions& api,
                                                             EngineHost* host);
  ~EngineServer();
  EngineServer(const EngineServer&) = delete;
  EngineServer& operator=(const EngineServer&) = delete;

  // As bound: "host:port".
  std::string address(size_t engine) const;
  // Requests that wait for their engine to bring something forth, or not to hang any more.
  size_t waiting() const;

 private:
  class Backend;  // everything of the HTTP library

  EngineServer() = default;

  std::unique_ptr<Backend> backend_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_ENGINE_ENGINE_SERVER_H_
