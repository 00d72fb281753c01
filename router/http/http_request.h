#ifndef KVROUTE_ROUTER_HTTP_HTTP_REQUEST_H_
#define KVROUTE_ROUTER_HTTP_HTTP_REQUEST_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "indexer/base/enum_names.h"
#include "indexer/base/limits.h"

namespace kvroute {

class NetworkList;

// How a transfer ended. Metric label values.
enum class HttpEnd : uint8_t {
  kReply,      // a whole reply came, whatever its status
  kBad,        // what was asked for cannot be sent: the message says which part of it
  kName,       // the host's name has no address, or nobody says which
  kConnect,    // no connection: refused, unreachable, or not in time
  kTls,        // no trust: the certificate, the CA, the handshake
  kCut,        // the connection ended before the reply did
  kProtocol,   // what came is not HTTP
  kTooLong,    // the reply, or its headers, is longer than was asked for
  kDeadline,   // not whole in time
  kIdle,       // nothing came for too long
  kToken,      // the bearer token's file cannot be used
  kCancelled,  // by whoever asked, or because the client ends
  kBusy,       // the client has as many transfers, or bytes of replies, as it may
};
inline constexpr auto kHttpEndNames =
    NamesUpTo<HttpEnd::kBusy>("reply", "bad", "name", "connect", "tls", "cut", "protocol",
                              "too_long", "deadline", "idle", "token", "cancelled", "busy");
inline constexpr size_t kHttpEndCount = kHttpEndNames.size();
inline std::string_view HttpEndName(HttpEnd end) { return kHttpEndNames[end]; }

// Files are read when a connection is made: what is renewed is used from then on.
struct HttpTls {
  std::string ca_file;           // PEM; empty: the system's
  std::string certificate_file;  // PEM, the client's own; empty: none
  std::string key_file;          // PEM, its private key
  bool insecure = false;         // takes any certificate for any name

  bool operator==(const HttpTls&) const = default;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;                   // http:// or https://; a host in brackets is IPv6
  std::string unix_socket;           // path of it: connects there, whatever host the URL names
  std::vector<std::string> headers;  // "Name: value"
  std::string body;
  // Of the whole transfer, its turn and the name's lookup included; 0: none.
  std::chrono::milliseconds deadline{10'000};
  std::chrono::milliseconds connect_timeout{5'000};  // name, connection and TLS together
  // Nothing has come for so long: for replies that have no end. 0: none.
  std::chrono::milliseconds idle_timeout{0};
  size_t max_reply_bytes = limits::kMaxHttpReplyBytes;  // of the body; 0, of a stream: any
  HttpTls tls;
  // Sent as "Authorization: Bearer ..."; read for each request, as it is rewritten while it is
  // used. Empty: none.
  std::string bearer_token_file;
  // Where alone the host may be, found out once its name is resolved; outlives the client. Null:
  // anywhere.
  const NetworkList* networks = nullptr;
};

struct HttpReply {
  HttpEnd end = HttpEnd::kReply;
  int status = 0;  // 0: no reply has begun
  std::string content_type;
  std::string body;     // of a stream: empty if status is 200 to 299
  std::string message;  // one line: why there is no reply
  std::chrono::nanoseconds took{0};

  bool ok() const { return end == HttpEnd::kReply && status >= 200 && status <= 299; }
};

// Runs on the client's thread and must not block.
using HttpOnDone = std::function<void(HttpReply)>;
// A piece of a body, as it came, of a reply with a status from 200 to 299.
using HttpOnData = std::function<void(std::string_view)>;

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_HTTP_HTTP_REQUEST_H_
