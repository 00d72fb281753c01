// What HttpServer answers, whoever carries it.
#include <algorithm>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "indexer/telemetry/http_methods.h"
#include "indexer/telemetry/http_server.h"

namespace kvroute {
namespace {

size_t StatusSlot(int status) {
  const auto& statuses = HttpServer::kStatuses;
  const auto* found = std::find(statuses.begin(), statuses.end(), status);
  if (found == statuses.end()) found = std::find(statuses.begin(), statuses.end(), 500);
  return static_cast<size_t>(found - statuses.begin());
}

}  // namespace

HttpResponse HttpServer::Answer(std::string_view method, const HttpCall& call) {
  const auto page = pages_.find(call.path);
  if (page == pages_.end()) {
    std::string text = "not found; there is:";
    for (const auto& [known, unused] : pages_) absl::StrAppend(&text, " ", known);
    return Refuse(404, text + '\n');
  }
  const HttpPage& it = page->second;
  const bool fits = IsRead(method) ? Reads(it) : Takes(it, method);
  if (!fits) return Refuse(405, wrong_method_);
  try {
    HttpResponse response = !IsRead(method)                        ? it.posted(call)
                            : it.asked                             ? it.asked(call)
                            : it.open_metrics && call.open_metrics ? it.open_metrics()
                                                                   : it.handler();
    Count(response.status);
    return response;
  } catch (const std::exception& error) {  // out of memory while a page is put together
    return Refuse(500, absl::StrCat(error.what(), "\n"));
  }
}

HttpResponse HttpServer::Refuse(int status, std::string text) {
  Count(status);
  return {.status = status, .body = std::move(text)};
}

void HttpServer::Count(int status) {
  answered_[StatusSlot(status)].fetch_add(1, std::memory_order_relaxed);
}

std::string_view HttpCall::Argument(std::string_view name) const {
  for (const auto& [known, value] : arguments) {
    if (known == name) return value;
  }
  return {};
}

uint64_t HttpServer::Answered(int status) const {
  return answered_[StatusSlot(status)].load(std::memory_order_relaxed);
}

}  // namespace kvroute
