#ifndef KVROUTE_TEST_INTEGRATION_WORST_INPUTS_H_
#define KVROUTE_TEST_INTEGRATION_WORST_INPUTS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "indexer/base/named_thread.h"
#include "test/support/server_process.h"
#include "tools/client/api_client.h"
#include "tools/publisher/zmq_publisher.h"

namespace kvroute {

// What may be put into a kvroute serve, each in the form that takes the most memory, again and
// again on threads of its own until it goes.
//
// Thread safety: one thread. Ownership: the server outlives it.
class WorstInputs {
 public:
  explicit WorstInputs(const testing_support::ServerProcess* server);
  ~WorstInputs() { Stop(); }
  void Stop();

  // Of engines: stores without end, parents that never come, batches behind a gap that no replay
  // fills, few bytes that would be much, and replays of long buffers.
  void Engines();
  // Of clients of the API, who take their answers.
  void Leases();
  void LongPrompts();
  void Swelling();
  // Of those who do not behave: requests without their end, answers that are not taken, compressed
  // ones, calls that are cancelled at once.
  void Unfinished();
  void UnreadAnswers();
  void RapidReset();
  // Of the other ports.
  void UnreadPages();
  void JsonBodies();
  void PickerBodies();

 private:
  void Offer(const std::string& name, std::function<void()> once);
  void OfferBatches(const std::string& name, bool has_replay,
                    std::function<std::string(ZmqPublisher*)> next);

  const testing_support::ServerProcess* const server_;
  ZmqContext context_;
  ApiClient api_;
  std::atomic<bool> stop_{false};
  std::vector<NamedThread> threads_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_INTEGRATION_WORST_INPUTS_H_
