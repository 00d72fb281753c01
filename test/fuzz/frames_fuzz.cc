#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "indexer/base/check.h"
#include "indexer/base/limits.h"
#include "indexer/base/text.h"
#include "indexer/source/zmq/frames.h"

// Whatever the frames of a message: no crash, nothing that points outside of them, numbers that are
// those of the frame, and names from topics that may be shown as they are. The input is a list of
// frames, each a length of one byte and as many bytes, or what is left.
namespace kvroute {
namespace {

// Each frame in memory of its own, so that the address sanitizer sees a read beyond it.
std::vector<std::vector<char>> FramesOf(std::string_view input) {
  std::vector<std::vector<char>> frames;
  while (!input.empty()) {
    const auto length = static_cast<uint8_t>(input.front());
    input.remove_prefix(1);
    const std::string_view frame = input.substr(0, length);
    frames.emplace_back(frame.begin(), frame.end());
    input.remove_prefix(frame.size());
  }
  return frames;
}

bool IsNumber(std::string_view frame, uint64_t seq) {
  const std::array<char, 8> bytes = EncodeSequence(seq);
  return frame == std::string_view(bytes.data(), bytes.size());
}

void CheckName(std::string_view name, size_t max_bytes) {
  KVROUTE_CHECK(!name.empty() && name.size() <= max_bytes && IsOneLine(name));
}

void CheckTopic(std::string_view topic) {
  const auto identity = ParseTopicIdentity(topic);
  if (!identity) return;
  CheckName(identity->host, limits::kMaxWorkerIdBytes);
  CheckName(identity->model, limits::kMaxModelBytes);
  KVROUTE_CHECK(topic.size() <= limits::kMaxTopicBytes);
  KVROUTE_CHECK("kv@" + identity->host + "@" + identity->model == topic);
  KVROUTE_CHECK(identity->host.starts_with(identity->pod));
}

void FuzzOne(std::string_view input) {
  const std::vector<std::vector<char>> memory = FramesOf(input);
  std::vector<std::string_view> frames;
  for (const std::vector<char>& frame : memory) frames.emplace_back(frame.data(), frame.size());
  if (const auto live = ParseLiveMessage(frames)) {
    KVROUTE_CHECK(frames.size() == 3);
    KVROUTE_CHECK(live->topic.data() == frames[0].data());
    KVROUTE_CHECK(IsNumber(frames[1], live->seq));
    KVROUTE_CHECK(live->payload.data() == frames[2].data());
  }
  if (const auto reply = ParseReplayReply(frames)) {
    KVROUTE_CHECK(frames.size() == 3 || frames.size() == 4);
    KVROUTE_CHECK(IsNumber(frames[frames.size() - 2], reply->seq));
    KVROUTE_CHECK(reply->payload.data() == frames.back().data());
  }
  for (const std::string_view frame : frames) CheckTopic(frame);
  CheckTopic(input);
}

}  // namespace
}  // namespace kvroute

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kvroute::FuzzOne({reinterpret_cast<const char*>(data), size});
  return 0;
}
