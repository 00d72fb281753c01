#include "tools/client/scrape.h"

#include <civetweb.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace kvroute {
namespace {

constexpr size_t kMaxBodyBytes = size_t{64} << 20;
constexpr size_t kReadBytes = size_t{64} << 10;

bool ParseValue(absl::string_view text, double* value) {
  if (text == "+Inf") {
    *value = std::numeric_limits<double>::infinity();
    return true;
  }
  return absl::SimpleAtod(text, value);
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

absl::StatusOr<std::string> FetchPage(const std::string& host, int port, const std::string& path) {
  const std::string url = absl::StrCat("http://", host, ":", port, path);
  char error[256] = "";
  mg_connection* connection =
      mg_download(host.c_str(), port, 0, error, sizeof(error),
                  "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path.c_str(), host.c_str());
  if (connection == nullptr) {
    return absl::UnavailableError(absl::StrCat(url, ": ", error));
  }
  const int status = mg_get_response_info(connection)->status_code;
  std::string body;
  std::vector<char> piece(kReadBytes);
  int read = 0;
  while (body.size() < kMaxBodyBytes &&
         (read = mg_read(connection, piece.data(), piece.size())) > 0) {
    body.append(piece.data(), static_cast<size_t>(read));
  }
  mg_close_connection(connection);
  if (status != 200) {
    return absl::UnavailableError(absl::StrCat(url, " answers ", status));
  }
  return body;
}

absl::StatusOr<Scrape> Scrape::Fetch(const std::string& host, int port) {
  const auto body = FetchPage(host, port, "/metrics");
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
