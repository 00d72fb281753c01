#include "test/integration/half_messages.h"

#include <algorithm>
#include <utility>

namespace kvroute::testing_support {
namespace {

constexpr uint8_t kData = 0, kSettings = 4, kWindowUpdate = 8;
constexpr uint32_t kInitialWindowSetting = 4;

uint32_t NumberAt(std::string_view bytes, size_t at, size_t size) {
  uint32_t number = 0;
  for (size_t i = 0; i < size; ++i) number = number << 8 | static_cast<uint8_t>(bytes[at + i]);
  return number;
}

std::string Prefix(uint32_t length) {
  std::string prefix(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) prefix += static_cast<char>(length >> shift);
  return prefix;
}

}  // namespace

std::optional<HalfMessages> HalfMessages::Begin(int port, std::chrono::milliseconds patience) {
  auto connection = Http2Connection::Try(port, patience);
  if (!connection.has_value()) return std::nullopt;
  return HalfMessages(*std::move(connection));
}

void HalfMessages::Call(std::string_view path, std::string_view before, std::string_view first,
                        uint32_t message_bytes) {
  connection_.Headers(next_call_, path);
  Open open;
  if (!before.empty()) {
    open.head += Prefix(static_cast<uint32_t>(before.size()));
    open.head += before;
  }
  open.head += Prefix(message_bytes);
  open.head += first;
  open.left = message_bytes - first.size() - 1;
  open.window = initial_window_;
  calls_[next_call_] = std::move(open);
  next_call_ += 2;
}

void HalfMessages::SendAll() {
  if (!connection_.Flush()) return;
  while (SendSome() || ReadFrame()) {
  }
}

bool HalfMessages::SendSome() {
  int64_t sent = 0;
  for (auto& [call, open] : calls_) sent += SendOf(call, &open);
  sent_bytes_ += static_cast<uint64_t>(sent);
  return sent > 0 && connection_.Flush();
}

int64_t HalfMessages::SendOf(uint32_t call, Open* open) {
  const int64_t left = static_cast<int64_t>(open->head.size() + open->left);
  const int64_t now = std::min({left, open->window, window_, kFrameBytes});
  if (now <= 0) return 0;
  std::string bytes = open->head.substr(0, static_cast<size_t>(now));
  open->head.erase(0, bytes.size());
  open->left -= static_cast<uint64_t>(now) - bytes.size();
  bytes.resize(static_cast<size_t>(now), '\0');
  connection_.Frame(kData, 0, call, bytes);
  open->window -= now;
  window_ -= now;
  return now;
}

// False: none came.
bool HalfMessages::ReadFrame() {
  const std::string head = connection_.raw().Read(9);
  if (head.size() < 9) return false;
  const uint32_t size = NumberAt(head, 0, 3);
  const auto type = static_cast<uint8_t>(head[3]);
  const uint32_t call = NumberAt(head, 5, 4) & 0x7fff'ffff;
  const std::string payload = connection_.raw().Read(size);
  if (payload.size() < size) return false;
  if (type == kWindowUpdate && size == 4) {
    const int64_t more = NumberAt(payload, 0, 4) & 0x7fff'ffff;
    if (call == 0) window_ += more;
    if (const auto open = calls_.find(call); open != calls_.end()) open->second.window += more;
  }
  for (size_t at = 0; type == kSettings && at + 6 <= size; at += 6) {
    if (NumberAt(payload, at, 2) != kInitialWindowSetting) continue;
    const int64_t window = NumberAt(payload, at + 2, 4);
    for (auto& [unused, open] : calls_) open.window += window - initial_window_;
    initial_window_ = window;
  }
  return true;
}

}  // namespace kvroute::testing_support
