#ifndef KVROUTE_TOOLS_FLEET_STREAM_PUBLISHER_H_
#define KVROUTE_TOOLS_FLEET_STREAM_PUBLISHER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "indexer/event/event_encoder.h"
#include "tools/fleet/cache_events.h"
#include "tools/publisher/zmq_publisher.h"

namespace kvroute {

// Where a stream binds, and under which topic it publishes.
struct StreamEndpoints {
  std::string event = "tcp://127.0.0.1:*";  // a port of * is chosen by the system
  std::string replay = "tcp://127.0.0.1:*";
  std::string topic = "";
};

// One engine rank's stream: collects a step's cache events in the wire style of the engine and
// publishes them as one batch over real sockets: at once, or together with others when it is told.
//
// Thread safety: one thread at a time. Ownership: the context must outlive it.
class StreamPublisher : public CacheEvents {
 public:
  static absl::StatusOr<std::unique_ptr<StreamPublisher>> Create(ZmqContext* context,
                                                                 WireStyle style, uint32_t rank,
                                                                 uint32_t block_size_tokens,
                                                                 size_t hold_batches,
                                                                 const StreamEndpoints& at = {});

  void Stored(const Digest* parent, absl::Span<const Digest> hashes,
              absl::Span<const TokenId> tokens, const HashNamespace& names) override;
  void Removed(const Digest& hash) override;
  void Cleared() override;

  // Makes a batch of what came since the last call, when anything came, and holds it until there
  // are `hold_batches`; 1: publishes it at once.
  void PublishStep();
  // Publishes what is held. Many batches in one go cost far fewer system calls and wake-ups, here
  // and in kvroute, than one at a time.
  void PublishHeld();
  // Forgets it: the engine died before it could be published.
  void DropStep();

  ZmqPublisher& sockets() { return *sockets_; }
  uint64_t batches() const { return sockets_->next_seq() + held_.size(); }
  uint64_t published_blocks() const { return published_blocks_; }

 private:
  StreamPublisher(WireStyle style, uint32_t rank, uint32_t block_size_tokens, size_t hold_batches)
      : rank_(rank),
        block_size_tokens_(block_size_tokens),
        hold_batches_(hold_batches),
        encoder_({.style = style}) {}

  const uint32_t rank_;
  const uint32_t block_size_tokens_;
  const size_t hold_batches_;
  EventEncoder encoder_;
  std::unique_ptr<ZmqPublisher> sockets_;
  std::string payload_;
  std::vector<std::string> held_;
  uint64_t published_blocks_ = 0;  // stored and removed
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_STREAM_PUBLISHER_H_
