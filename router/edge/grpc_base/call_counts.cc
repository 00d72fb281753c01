#include "router/edge/grpc_base/call_counts.h"

#include <grpc/grpc.h>
#include <grpc/support/alloc.h>

#include <memory>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace kvroute {
namespace {

constexpr intptr_t kListedAtOnce = 500;

struct FreeText {
  void operator()(char* text) const { gpr_free(text); }
};
using Json = std::unique_ptr<char, FreeText>;  // nullptr: there is no such thing

std::string_view TextOf(const Json& json) {
  return json == nullptr ? std::string_view() : std::string_view(json.get());
}

int64_t ToNumber(std::string_view text) {
  int64_t number = 0;
  return absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &number) ? number : 0;
}

// The last number listed, or nullopt when that was the end.
std::optional<SocketNumber> ListSome(
    int64_t server, SocketNumber first,
    const std::function<void(SocketNumber, std::string_view peer)>& each) {
  const Json json(grpc_channelz_get_server_sockets(server, first, kListedAtOnce));
  const std::string_view text = TextOf(json);
  std::vector<std::string_view> names;
  ForEachValue(text, "name", [&](std::string_view name) { names.push_back(name); });
  size_t i = 0;
  SocketNumber last = first;
  ForEachValue(text, "socketId", [&](std::string_view id) {
    if (i == names.size()) return;
    last = ToNumber(id);
    const std::string_view name = names[i++];  // "chttp2 ipv4:10.0.0.7:41312"
    each(last, name.substr(name.find(' ') + 1));
  });
  if (i == 0 || text.find("\"end\":true") != std::string_view::npos) return std::nullopt;
  return last;
}

}  // namespace

void ForEachValue(std::string_view json, std::string_view field,
                  const std::function<void(std::string_view)>& each) {
  const std::string key =
      absl::StrCat("\"", absl::string_view(field.data(), field.size()), "\":\"");
  for (size_t at = json.find(key); at != std::string_view::npos; at = json.find(key, at)) {
    at += key.size();
    const size_t end = json.find('"', at);
    if (end == std::string_view::npos) return;
    each(json.substr(at, end - at));
  }
}

uint64_t NumberIn(std::string_view json, std::string_view field) {
  uint64_t number = 0;
  ForEachValue(json, field,
               [&](std::string_view value) { number = static_cast<uint64_t>(ToNumber(value)); });
  return number;
}

void ListSockets(SocketNumber first,
                 const std::function<void(SocketNumber, std::string_view peer)>& each) {
  const Json servers(grpc_channelz_get_servers(0));
  ForEachValue(TextOf(servers), "serverId", [&](std::string_view server) {
    for (std::optional<SocketNumber> next = first; next;) {
      next = ListSome(ToNumber(server), *next, each);
      if (next) ++*next;
    }
  });
}

std::optional<CallCounts> ReadCallCounts(SocketNumber socket) {
  const Json json(grpc_channelz_get_socket(socket));
  if (json == nullptr) return std::nullopt;
  const std::string_view text = TextOf(json);
  return CallCounts{NumberIn(text, "streamsStarted"), NumberIn(text, "streamsSucceeded"),
                    NumberIn(text, "streamsFailed")};
}

}  // namespace kvroute
