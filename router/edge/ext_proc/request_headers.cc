#include "router/edge/ext_proc/request_headers.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "router/edge/ext_proc/proxy_message.h"

namespace kvroute {
namespace {

// What is longer is no path of an API, and no encoding: it is not kept.
constexpr size_t kKeptValueBytes = 1'024;

// `name` is in lower case.
bool Is(std::string_view header, std::string_view name) {
  return header.size() == name.size() &&
         absl::EqualsIgnoreCase(absl::string_view(header.data(), header.size()),
                                absl::string_view(name.data(), name.size()));
}

void Keep(std::string_view value, std::string* kept) {
  if (kept->empty()) kept->assign(value.substr(0, kKeptValueBytes));
}

}  // namespace

RequestHeaders ReadRequestHeaders(std::string_view headers) {
  RequestHeaders read;
  std::string original_path, forwarded_path, older_rewrite, older_objective;
  ForEachHeader(headers, [&](std::string_view name, std::string_view value) {
    switch (name[0] | 0x20) {  // ASCII letters become lower case
      case ':':
        if (name == ":path") Keep(value, &read.path);
        return;
      case 'c':
        if (Is(name, "content-encoding")) Keep(value, &read.content_encoding);
        if (Is(name, "content-length")) read.has_length = true;
        return;
      case 'p':
        if (Is(name, "prefer") && Is(value, "if-available")) read.prefers_refusal = true;
        return;
      case 't':
        if (Is(name, kFixtureSelectionHeader)) Keep(value, &read.fixture_selection);
        return;
      case 'x':
        if (Is(name, "x-llm-d-model-name-rewrite")) Keep(value, &read.model_rewrite);
        if (Is(name, "x-gateway-model-name-rewrite")) Keep(value, &older_rewrite);
        if (Is(name, "x-llm-d-inference-objective")) Keep(value, &read.objective);
        if (Is(name, "x-gateway-inference-objective")) Keep(value, &older_objective);
        if (Is(name, "x-original-path")) return Keep(value, &original_path);
        if (Is(name, "x-forwarded-path")) return Keep(value, &forwarded_path);
        for (size_t i = 0; i < kRemovedHeaders.size(); ++i) {
          if (Is(name, kRemovedHeaders[i])) read.to_remove |= 1u << i;
        }
        return;
      default:
        return;
    }
  });
  if (read.path.empty()) read.path = original_path.empty() ? forwarded_path : original_path;
  if (read.model_rewrite.empty()) read.model_rewrite = std::move(older_rewrite);
  if (read.objective.empty()) read.objective = std::move(older_objective);
  return read;
}

ResponseHeaders ReadResponseHeaders(std::string_view headers) {
  ResponseHeaders read;
  ForEachHeader(headers, [&](std::string_view name, std::string_view value) {
    int number = 0;
    if (name == ":status") {
      if (read.status == 0 && value.size() == 3 &&
          absl::SimpleAtoi(absl::string_view(value.data(), value.size()), &number)) {
        read.status = number;
      }
    } else if (Is(name, "content-type")) {
      if (read.content_type.empty()) read.content_type = value;
    } else if (Is(name, "content-encoding")) {
      if (read.content_encoding.empty()) read.content_encoding = value;
    }
  });
  return read;
}

}  // namespace kvroute
