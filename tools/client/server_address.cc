#include "tools/client/server_address.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "indexer/base/text.h"

namespace kvroute {
namespace {

constexpr int kHttpPort = 80;
constexpr int kHttpsPort = 443;

// What a scheme says; false: nobody speaks it.
bool TakeScheme(absl::string_view* text, ServerAddress* address, int* default_port) {
  const size_t end = text->find("://");
  if (end == absl::string_view::npos) return true;
  const absl::string_view scheme = text->substr(0, end);
  if (scheme != "http" && scheme != "https" && scheme != "grpc" && scheme != "grpcs") return false;
  address->tls = scheme == "https" || scheme == "grpcs";
  if (scheme == "http") *default_port = kHttpPort;
  if (scheme == "https") *default_port = kHttpsPort;
  text->remove_prefix(end + 3);
  *text = text->substr(0, text->find('/'));
  return true;
}

bool SplitHostPort(absl::string_view text, int default_port, ServerAddress* address) {
  absl::string_view port;
  if (absl::ConsumePrefix(&text, "[")) {
    const size_t end = text.find(']');
    if (end == absl::string_view::npos) return false;
    port = text.substr(end + 1);
    text = text.substr(0, end);
    if (!port.empty() && !absl::ConsumePrefix(&port, ":")) return false;
    if (text.empty()) return false;
  } else if (const size_t colon = text.find(':'); colon != absl::string_view::npos) {
    port = text.substr(colon + 1);
    if (port.empty()) return false;
    text = text.substr(0, colon);
  } else if (text.empty()) {
    return false;
  }
  address->host = text.empty() ? "localhost" : std::string(text);
  address->port = default_port;
  if (address->host.find_first_of(" \t,@") != std::string::npos) return false;
  return port.empty() ||
         (absl::SimpleAtoi(port, &address->port) && address->port >= 1 && address->port <= 65'535);
}

}  // namespace

std::string ServerAddress::Text() const {
  if (host.empty()) return absl::StrCat("unix:", unix_path);
  const bool v6 = absl::StrContains(host, ":");
  return absl::StrCat(v6 ? "[" : "", host, v6 ? "]:" : ":", port);
}

std::string ServerAddress::Url(const std::string& path) const {
  return absl::StrCat(tls ? "https://" : "http://", host.empty() ? "localhost" : Text(), path);
}

absl::StatusOr<ServerAddress> ParseServerAddress(const std::string& flag, const std::string& text,
                                                 int default_port) {
  ServerAddress address;
  absl::string_view rest = text;
  const bool is_line = IsOneLine(text);
  if (is_line && absl::ConsumePrefix(&rest, "unix:")) {
    absl::ConsumePrefix(&rest, "//");
    address.unix_path = std::string(rest);
    if (absl::StartsWith(rest, "/")) return address;
  } else if (is_line && TakeScheme(&rest, &address, &default_port) &&
             SplitHostPort(rest, default_port, &address)) {
    return address;
  }
  return absl::InvalidArgumentError(
      absl::StrCat(flag, ": \"", OneLine(text), "\" is no address: HOST:PORT, [IPv6]:PORT, :PORT, ",
                   "a URL (http, https, grpc, grpcs) or unix:/PATH"));
}

}  // namespace kvroute
