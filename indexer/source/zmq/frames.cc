#include "indexer/source/zmq/frames.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "indexer/base/limits.h"
#include "indexer/stream/sequence_tracker.h"

namespace kvroute {
namespace {

std::optional<uint64_t> DecodeSequence(std::string_view frame) {
  if (frame.size() != 8) return std::nullopt;
  uint64_t seq = 0;
  for (const char byte : frame) seq = seq << 8 | static_cast<uint8_t>(byte);
  return seq;
}

// Without the port, if there is one: of "10.0.0.7:8000", "[fd00::7]:8000", "pod-7".
std::string_view WithoutPort(std::string_view host) {
  const size_t colon = host.rfind(':');
  if (colon == std::string_view::npos) return host;
  const std::string_view port = host.substr(colon + 1);
  const bool digits = !port.empty() && std::all_of(port.begin(), port.end(),
                                                   [](char c) { return c >= '0' && c <= '9'; });
  const std::string_view pod = host.substr(0, colon);
  const bool bare_ipv6 = pod.find(':') != std::string_view::npos && pod.back() != ']';
  return digits && !bare_ipv6 ? pod : host;
}

// A name as a registered worker may have it: see ValidateWorker, which would refuse it later.
bool IsName(std::string_view text, size_t max_bytes) {
  return !text.empty() && text.size() <= max_bytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

}  // namespace

std::optional<LiveMessage> ParseLiveMessage(absl::Span<const std::string_view> frames) {
  if (frames.size() != 3) return std::nullopt;
  const std::optional<uint64_t> seq = DecodeSequence(frames[1]);
  if (!seq.has_value() || *seq == kReservedSequence) return std::nullopt;
  return LiveMessage{frames[0], *seq, frames[2]};
}

std::string DescribeMalformed(absl::Span<const std::string_view> frames) {
  if (frames.size() != 3) {
    return absl::StrCat(frames.size(), frames.size() == 1 ? " frame" : " frames");
  }
  if (frames[1].size() != 8) return absl::StrCat("a number of ", frames[1].size(), " bytes");
  return "the number that ends a replay";
}

std::string_view TopicOfMalformed(absl::Span<const std::string_view> frames) {
  return frames.empty() ? std::string_view() : frames[0];
}

std::optional<ReplayReply> ParseReplayReply(absl::Span<const std::string_view> frames) {
  if ((frames.size() != 3 && frames.size() != 4) || !frames[0].empty()) return std::nullopt;
  const std::optional<uint64_t> seq = DecodeSequence(frames[frames.size() - 2]);
  if (!seq.has_value()) return std::nullopt;
  ReplayReply reply{*seq == kReservedSequence, *seq, frames.back(), std::nullopt};
  if (frames.size() == 4 && !reply.end) reply.topic = frames[1];
  return reply;
}

std::array<char, 8> EncodeSequence(uint64_t seq) {
  std::array<char, 8> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(seq >> (56 - 8 * i));
  return bytes;
}

std::optional<TopicIdentity> ParseTopicIdentity(std::string_view topic) {
  constexpr std::string_view kPrefix = "kv@";
  if (topic.size() > limits::kMaxTopicBytes || !topic.starts_with(kPrefix)) return std::nullopt;
  topic.remove_prefix(kPrefix.size());
  const size_t at = topic.find('@');
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view host = topic.substr(0, at);
  const std::string_view model = topic.substr(at + 1);
  if (!IsName(host, limits::kMaxWorkerIdBytes) || !IsName(model, limits::kMaxModelBytes)) {
    return std::nullopt;
  }
  return TopicIdentity{std::string(host), std::string(WithoutPort(host)), std::string(model)};
}

}  // namespace kvroute
