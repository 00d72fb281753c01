#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_FRAMES_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_FRAMES_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/types/span.h"

namespace kvroute {

// The frames of the messages engines exchange with their subscribers, without sockets.
// docs/wire-format.md has the facts.

struct LiveMessage {
  std::string_view topic;
  uint64_t seq = 0;
  std::string_view payload;
};

// [topic, number, payload]; nullopt for any other count, for a number that is not 8 bytes or is the
// end marker's.
std::optional<LiveMessage> ParseLiveMessage(absl::Span<const std::string_view> frames);
// Of frames that are none, what is wrong with them: "4 frames", "a number of 24 bytes". Which topic
// they are of, if they name one.
std::string DescribeMalformed(absl::Span<const std::string_view> frames);
std::string_view TopicOfMalformed(absl::Span<const std::string_view> frames);

struct ReplayReply {
  bool end = false;  // the engine has sent all it has
  uint64_t seq = 0;
  std::string_view payload;
  std::optional<std::string_view> topic;  // under which the batch is published, where it is said
};

// As a DEALER sees it: ["", number, payload], or since vLLM 0.26 ["", topic, number, payload], told
// apart by nothing but the count, because the topic may be empty.
std::optional<ReplayReply> ParseReplayReply(absl::Span<const std::string_view> frames);

// The second frame of a request to replay from `seq`; the first is empty, else the engine does not
// answer.
std::array<char, 8> EncodeSequence(uint64_t seq);

// Who an engine says it is where its topic is its only identity: kv@<pod>[:port]@<model>. nullopt
// also for names that no worker may have: they are to be shown, and anybody can send them.
struct TopicIdentity {
  std::string host;  // <pod>[:port]
  std::string pod;
  std::string model;
};
std::optional<TopicIdentity> ParseTopicIdentity(std::string_view topic);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_FRAMES_H_
