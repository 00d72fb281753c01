#include "tools/fleet/stream_publisher.h"

#include "indexer/base/clock.h"

namespace kvroute {

absl::StatusOr<std::unique_ptr<StreamPublisher>> StreamPublisher::Create(
    ZmqContext* context, WireStyle style, uint32_t rank, uint32_t block_size_tokens,
    size_t hold_batches, const StreamEndpoints& at) {
  std::unique_ptr<StreamPublisher> stream(
      new StreamPublisher(style, rank, block_size_tokens, hold_batches));
  PublisherOptions options;
  options.event_endpoint = at.event;
  options.replay_endpoint = at.replay;
  options.topic = at.topic;
  options.topic_in_replay = EngineKindOf(style) != EngineKind::kSglang;
  // libzmq's 1,000 is the engines' own limit for replies; a whole buffer fits here, so that a
  // replay that kvroute asks for completes as fast as the two processes can go.
  options.replay_send_high_water_mark = static_cast<int>(options.buffer_steps) + 1;
  auto sockets = ZmqPublisher::Create(context, options);
  if (!sockets.ok()) return sockets.status();
  stream->sockets_ = *std::move(sockets);
  return stream;
}

void StreamPublisher::Stored(const Digest* parent, absl::Span<const Digest> hashes,
                             absl::Span<const TokenId> tokens, const HashNamespace& names) {
  StoredBlocks blocks;
  blocks.hashes = hashes;
  blocks.parent = parent;
  blocks.token_ids = tokens;
  blocks.names = names;
  blocks.block_size_tokens = block_size_tokens_;
  encoder_.Stored(blocks);
  published_blocks_ += hashes.size();
}

void StreamPublisher::Removed(const Digest& hash) {
  RemovedBlocks blocks;
  blocks.hashes = absl::MakeConstSpan(&hash, 1);
  encoder_.Removed(blocks);
  ++published_blocks_;
}

void StreamPublisher::Cleared() { encoder_.Cleared(); }

void StreamPublisher::PublishStep() {
  if (encoder_.event_count() == 0) return;
  const double now_seconds = std::chrono::duration<double>(Clock::Real().Wall()).count();
  encoder_.Finish(now_seconds, rank_, &payload_);
  held_.push_back(payload_);
  if (held_.size() >= hold_batches_) PublishHeld();
}

void StreamPublisher::PublishHeld() {
  for (const std::string& payload : held_) sockets_->Publish(payload);
  held_.clear();
}

void StreamPublisher::DropStep() {
  if (encoder_.event_count() > 0) encoder_.Finish(0, rank_, &payload_);
}

}  // namespace kvroute
