#include "test/support/http2_connection.h"

#include <utility>

namespace kvroute::testing_support {
namespace {

constexpr uint8_t kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6;
constexpr uint8_t kEndStream = 1, kEndHeaders = 4;

std::string BigEndian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

// HPACK: a text of less than 127 bytes, as it is.
std::string Text(std::string_view text) {
  return static_cast<char>(text.size()) + std::string(text);
}

std::string Header(std::string_view name, std::string_view value) {
  return '\0' + Text(name) + Text(value);  // not to be remembered
}

}  // namespace

Http2Connection::Http2Connection(int port, uint32_t window)
    : Http2Connection(RawConnection(port), window) {}

std::optional<Http2Connection> Http2Connection::Try(int port, std::chrono::milliseconds patience,
                                                    uint32_t window) {
  std::optional<RawConnection> raw = RawConnection::Try(port, patience);
  if (!raw.has_value()) return std::nullopt;
  return Http2Connection(*std::move(raw), window);
}

Http2Connection::Http2Connection(RawConnection raw, uint32_t window) : raw_(std::move(raw)) {
  collected_ = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  Frame(kSettings, 0, 0, std::string("\0\4", 2) + BigEndian(window));  // INITIAL_WINDOW_SIZE
  Flush();
}

Http2Connection& Http2Connection::Headers(uint32_t call, std::string_view path, bool ends) {
  const std::string block =
      "\x83\x86"  // :method: POST, :scheme: http
      "\x04" +
      Text(path) + "\x01" + Text("test") +  // :path, :authority
      Header("content-type", "application/grpc") + Header("te", "trailers");
  Frame(kHeaders, kEndHeaders | (ends ? kEndStream : 0), call, block);
  return *this;
}

Http2Connection& Http2Connection::Message(uint32_t call, std::string_view message,
                                          bool compressed) {
  std::string payload(1, compressed ? '\1' : '\0');
  payload += BigEndian(static_cast<uint32_t>(message.size()));
  payload += message;
  Frame(kData, kEndStream, call, payload);
  return *this;
}

Http2Connection& Http2Connection::Reset(uint32_t call) {
  Frame(kReset, 0, call, BigEndian(8));  // CANCEL
  return *this;
}

Http2Connection& Http2Connection::Ping() {
  Frame(kPing, 0, 0, "12345678");
  return *this;
}

bool Http2Connection::Flush() {
  const bool sent = raw_.Send(collected_);
  collected_.clear();
  return sent;
}

Http2Connection& Http2Connection::Frame(uint8_t type, uint8_t flags, uint32_t call,
                                        std::string_view payload) {
  collected_ += BigEndian(static_cast<uint32_t>(payload.size())).substr(1);
  collected_ += static_cast<char>(type);
  collected_ += static_cast<char>(flags);
  collected_ += BigEndian(call);
  collected_ += payload;
  return *this;
}

}  // namespace kvroute::testing_support
