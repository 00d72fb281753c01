#ifndef KVROUTE_TEST_STORM_ATTACK_H_
#define KVROUTE_TEST_STORM_ATTACK_H_

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace kvroute {

// The server under attack, and what tells an attack how long to hold what it took.
struct AttackedServer {
  std::string grpc_address;
  int grpc_port = 0;
  int http_port = 0;
  std::string listener;     // to which engines may connect
  std::string config_path;  // of its configuration file, which is watched, and what it said
  std::string config;
  // Returns when the normal client got a few more answers (or gave up waiting): an attack that
  // holds places, connections or leases calls this while it holds them.
  std::function<void()> hold;
};

// One way to be a bad peer.
//
// Thread safety: one thread at a time.
class Attack {
 public:
  virtual ~Attack() = default;
  virtual std::string_view name() const = 0;
  // Does its worst once, in bounded time, and gives back what it took. What the server answers is
  // no business of an attack: refusing it, cutting it off and answering it are all right.
  virtual void Strike(std::mt19937_64* random) = 0;
};

inline std::string RandomBytes(std::mt19937_64* random, size_t count) {
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>((*random)());
  return bytes;
}

using Attacks = std::vector<std::unique_ptr<Attack>>;

// Bytes on a TCP connection, to the gRPC and the HTTP port.
void AddConnectionAttacks(const AttackedServer& server, Attacks* attacks);
// Calls that a gRPC client can make. Workers whose ids begin with `worker_id` are theirs alone.
void AddCallAttacks(const AttackedServer& server, const std::string& worker_id, Attacks* attacks);
// What becomes of the configuration file.
void AddConfigAttacks(const AttackedServer& server, Attacks* attacks);
// Workers whose engines publish what no engine should. `worker_id` is theirs alone.
void AddPublisherAttacks(const AttackedServer& server, const std::string& worker_id,
                         Attacks* attacks);
void AddEngineAttacks(const AttackedServer& server, const std::string& worker_id, Attacks* attacks);

}  // namespace kvroute

#endif  // KVROUTE_TEST_STORM_ATTACK_H_
