#include "tools/top/top_frame.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kvroute {
namespace {

using Json = nlohmann::json;

double Increase(const TopReading& now, const Scrape& before, absl::string_view name) {
  return now.metrics.Sum(name) - before.Sum(name);
}

std::string Microseconds(double seconds) {
  return seconds == 0 ? "-" : absl::StrFormat("%.0f us", seconds * 1e6);
}

std::string Quantiles(const TopReading& now, const Scrape& before, absl::string_view name,
                      absl::string_view labels) {
  return absl::StrCat("p50 ", Microseconds(now.metrics.Quantile(name, 0.5, before, labels)),
                      " p99 ", Microseconds(now.metrics.Quantile(name, 0.99, before, labels)));
}

std::string Totals(const Json& status, const TopReading& now, const Scrape& before,
                   double seconds) {
  const double prompt = Increase(now, before, "kvroute_prompt_tokens_total");
  const double matched = Increase(now, before, "kvroute_matched_tokens_total");
  std::string out = absl::StrFormat("kvroute %s  up %.0f s  %s  policy %s\n",
                                    status.at("version").get<std::string>(),
                                    status.at("uptime_seconds").get<double>(),
                                    status.at("ready").get<bool>() ? "ready" : "NOT READY",
                                    status.at("policy").get<std::string>());
  absl::StrAppendFormat(
      &out, "route   %.0f/s  %s  hit rate %s\n",
      Increase(now, before, "kvroute_decisions_total") / seconds,
      Quantiles(now, before, "kvroute_request_duration_seconds", "method=\"Route\","),
      prompt > 0 ? absl::StrFormat("%.1f%%", 100 * matched / prompt) : "-");
  absl::StrAppendFormat(&out, "events  %.0f/s  lag %s\n",
                        Increase(now, before, "kvroute_events_total") / seconds,
                        Quantiles(now, before, "kvroute_publish_lag_seconds", ""));
  const Json& index = status.at("index");
  absl::StrAppendFormat(&out, "index   %d holdings  %d distinct blocks  %.1f MB\n\n",
                        index.at("holdings").get<int64_t>(),
                        index.at("distinct_blocks").get<int64_t>(),
                        index.at("bytes").get<double>() / 1e6);
  return out;
}

// Names come from configurations and engines: what could steer a terminal is not printed.
std::string Printable(std::string text) {
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

std::string StreamLine(const Json& worker, const Json& stream) {
  return absl::StrFormat(
      "%-24s %4d %-9s %-20s %9d %8d %10d\n", Printable(worker.at("worker_id").get<std::string>()),
      stream.at("rank").get<int64_t>(), stream.at("trust").get<std::string>(),
      stream.at("reason").get<std::string>(), stream.at("requests_in_flight").get<int64_t>(),
      stream.at("gaps").get<int64_t>(), stream.at("batches").get<int64_t>());
}

}  // namespace

absl::StatusOr<std::string> TopFrame(const TopReading& now, const Scrape& before, double seconds) {
  try {
    const Json status = Json::parse(now.status_json);
    const double since = seconds > 0 ? seconds : status.at("uptime_seconds").get<double>();
    std::string out = Totals(status, now, before, since);
    absl::StrAppendFormat(&out, "%-24s %4s %-9s %-20s %9s %8s %10s\n", "WORKER", "RANK", "TRUST",
                          "REASON", "IN FLIGHT", "GAPS", "BATCHES");
    for (const Json& worker : status.at("workers")) {
      for (const Json& stream : worker.at("streams")) out += StreamLine(worker, stream);
    }
    return out;
  } catch (const Json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("/status: ", error.what()));
  }
}

}  // namespace kvroute
