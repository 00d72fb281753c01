#include "tools/client/scrape.h"

#include <curl/curl.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "indexer/base/text.h"

namespace kvroute {
namespace {

constexpr size_t kMaxBodyBytes = size_t{64} << 20;
constexpr int64_t kConnectTimeoutMs = 2'000;

bool ParseValue(absl::string_view text, double* value) {
  if (text == "+Inf") {
    *value = std::numeric_limits<double>::infinity();
    return true;
  }
  return absl::SimpleAtod(text, value);
}

// Anything but all of `bytes` ends the transfer.
size_t TakeBody(const char* data, size_t, size_t bytes, void* body) {
  auto* const text = static_cast<std::string*>(body);
  if (text->size() + bytes > kMaxBodyBytes) return 0;
  text->append(data, bytes);
  return bytes;
}

void Prepare(CURL* curl, const ClientOptions& from, const std::string& url) {
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");  // not that of the environment
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, from.timeout.count());
  const std::pair<CURLoption, const std::string*> texts[] = {
      {CURLOPT_UNIX_SOCKET_PATH, &from.server.unix_path},
      {CURLOPT_CAINFO, &from.security.ca_file},
      {CURLOPT_SSLCERT, &from.security.certificate_file},
      {CURLOPT_SSLKEY, &from.security.key_file}};
  for (const auto& [option, text] : texts) {
    if (!text->empty()) curl_easy_setopt(curl, option, text->c_str());
  }
}

}  // namespace

absl::StatusOr<Scrape> Scrape::Parse(absl::string_view text) {
  Scrape scrape;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipWhitespace())) {
    if (line.front() == '#') continue;
    const size_t space = line.rfind(' ');
    double value = 0;
    if (space == absl::string_view::npos || !ParseValue(line.substr(space + 1), &value)) {
      return absl::InvalidArgumentError(absl::StrCat("metrics: not a sample: ", line));
    }
    scrape.samples_.emplace(line.substr(0, space), value);
  }
  return scrape;
}

absl::StatusOr<std::string> FetchPage(const ClientOptions& from, const std::string& path) {
  const std::string url = from.server.Url(path);
  const absl::StatusOr<std::string> token = ReadToken(from.security);
  if (!token.ok()) return token.status();
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(),
                                                                 &curl_easy_cleanup);
  if (curl == nullptr) return absl::UnavailableError(url + ": out of memory");
  std::string body;
  char error[CURL_ERROR_SIZE] = "";
  Prepare(curl.get(), from, url);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &TakeBody);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &body);
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, error);
  curl_slist* headers = nullptr;
  if (!token->empty()) {
    headers = curl_slist_append(headers, ("Authorization: Bearer " + *token).c_str());
    curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers);
  }
  const CURLcode code = curl_easy_perform(curl.get());
  curl_slist_free_all(headers);
  if (code != CURLE_OK) {
    const std::string why = *error != 0 ? error : curl_easy_strerror(code);
    return absl::UnavailableError(absl::StrCat(url, ": ", OneLine(why)));
  }
  int64_t status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status != 200) return absl::UnavailableError(absl::StrCat(url, " answers ", status));
  return body;
}

absl::StatusOr<Scrape> Scrape::Fetch(const ClientOptions& from) {
  const auto body = FetchPage(from, "/metrics");
  if (!body.ok()) return body.status();
  return Parse(*body);
}

absl::StatusOr<double> Scrape::Value(absl::string_view name_with_labels) const {
  const auto sample = samples_.find(name_with_labels);
  if (sample == samples_.end())
    return absl::NotFoundError(absl::StrCat("no metric ", name_with_labels));
  return sample->second;
}

double Scrape::Sum(absl::string_view name) const {
  const std::string labelled = absl::StrCat(name, "{");
  double sum = 0;
  for (auto sample = samples_.lower_bound(name); sample != samples_.end(); ++sample) {
    const absl::string_view key = sample->first;
    if (key.substr(0, name.size()) != name) break;
    if (key == name || key.substr(0, labelled.size()) == labelled) sum += sample->second;
  }
  return sum;
}

double Scrape::Quantile(absl::string_view name, double q, const Scrape& before,
                        absl::string_view labels) const {
  const std::string prefix = absl::StrCat(name, "_bucket{", labels, "le=\"");
  std::vector<std::pair<double, double>> buckets;  // upper bound, observations at or below it
  for (auto sample = samples_.lower_bound(prefix); sample != samples_.end(); ++sample) {
    absl::string_view bound = sample->first;
    if (!absl::ConsumePrefix(&bound, prefix) || !absl::ConsumeSuffix(&bound, "\"}")) break;
    double upper = 0;
    if (!ParseValue(bound, &upper)) continue;
    const auto earlier = before.samples_.find(sample->first);
    buckets.emplace_back(upper,
                         sample->second - (earlier == before.samples_.end() ? 0 : earlier->second));
  }
  std::sort(buckets.begin(), buckets.end());
  if (buckets.empty() || buckets.back().second <= 0) return 0;
  const double rank = std::ceil(q * buckets.back().second);
  for (const auto& [upper, count] : buckets) {
    if (count >= rank) return upper;
  }
  return buckets.back().first;
}

}  // namespace kvroute
