#ifndef KVROUTE_INDEXER_TELEMETRY_HTTP_METHODS_H_
#define KVROUTE_INDEXER_TELEMETRY_HTTP_METHODS_H_

#include <string>
#include <string_view>

#include "indexer/telemetry/http_server.h"

// Which methods a page has.
namespace kvroute {

inline bool IsRead(std::string_view method) { return method == "GET" || method == "HEAD"; }

inline bool Reads(const HttpPage& page) { return page.handler != nullptr || page.asked != nullptr; }
inline bool Takes(const HttpPage& page, std::string_view method) {
  return method == "POST" && page.posted != nullptr;
}

inline std::string AllowedOf(const HttpPage& page) {
  if (page.posted == nullptr) return "GET, HEAD";
  return Reads(page) ? "GET, HEAD, POST" : "POST";
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_TELEMETRY_HTTP_METHODS_H_
