#include "tools/top/top_frame.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <nlohmann/json.hpp>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kvroute {
namespace {

using Json = nlohmann::ordered_json;

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

// Of one worker and rank; what an older or newer kvroute does not tell is left out.
struct Row {
  std::string worker, model, state, trust, reason, waiting, kv, last_batch;
  int64_t rank = 0, in_flight = 0, blocks = 0, gaps = 0, batches = 0;
  double kv_usage = -1;  // below 0: not known

  static Row Of(const Json& worker, const Json& stream);
};

std::string StateOf(const Json& worker, const Json& stream) {
  if (worker.value("draining", false)) return "draining";
  if (worker.value("not_ready", false)) return "not ready";
  const Json engine = stream.value("engine", Json());
  if (engine.is_object() && engine.value("health", "") == "does_not_answer") return "no answer";
  return stream.value("heard", true) ? "serving" : "unheard";
}

std::string AgeOf(int64_t unix_ns) {
  if (unix_ns == 0) return "-";
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const double age = std::chrono::duration<double>(now - std::chrono::nanoseconds(unix_ns)).count();
  if (age < 100) return absl::StrFormat("%.0f s", std::max(age, 0.0));
  return age < 6'000 ? absl::StrFormat("%.0f min", age / 60)
                     : absl::StrFormat("%.0f h", age / 3'600);
}

Row Row::Of(const Json& worker, const Json& stream) {
  Row row;
  row.worker = Printable(worker.at("worker_id").get<std::string>());
  row.model = Printable(worker.value("model", ""));
  row.state = StateOf(worker, stream);
  row.trust = Printable(stream.at("trust").get<std::string>());
  row.reason = Printable(stream.at("reason").get<std::string>());
  row.rank = stream.at("rank").get<int64_t>();
  row.in_flight = stream.at("requests_in_flight").get<int64_t>();
  row.blocks = stream.value("holdings", int64_t{0});
  row.gaps = stream.at("gaps").get<int64_t>();
  row.batches = stream.at("batches").get<int64_t>();
  row.last_batch = AgeOf(stream.value("last_batch_unix_ns", int64_t{0}));
  const Json engine = stream.value("engine", Json());
  const bool reported = engine.is_object() && engine.contains("kv_usage");
  if (reported) row.kv_usage = engine.at("kv_usage").get<double>();
  row.kv = reported ? absl::StrFormat("%.0f%%", 100 * row.kv_usage) : "-";
  row.waiting = reported ? absl::StrCat(engine.value("waiting", int64_t{0})) : "-";
  return row;
}

// Exact last: who is in trouble is looked for.
int Trouble(const Row& row) {
  if (row.state != "serving" && row.state != "draining") return 0;
  constexpr absl::string_view kOrder[] = {"cold", "stale", "degraded", "syncing", "predicted"};
  const auto* const found = std::find(std::begin(kOrder), std::end(kOrder), row.trust);
  return 1 + static_cast<int>(found - std::begin(kOrder));
}

bool StandsBefore(const Row& a, const Row& b, TopSort sort) {
  switch (sort) {
    case TopSort::kTrust:
      return Trouble(a) < Trouble(b);
    case TopSort::kInFlight:
      return a.in_flight > b.in_flight;
    case TopSort::kKv:
      return a.kv_usage > b.kv_usage;
    case TopSort::kBlocks:
      return a.blocks > b.blocks;
    case TopSort::kGaps:
      return a.gaps > b.gaps;
    case TopSort::kBatches:
      return a.batches > b.batches;
    case TopSort::kWorker:
      break;
  }
  return std::tie(a.worker, a.rank) < std::tie(b.worker, b.rank);
}

std::string Coloured(const TopView& view, absl::string_view colour, std::string text) {
  if (!view.colours) return text;
  return absl::StrCat("\x1b[", colour, "m", text, "\x1b[0m");
}

absl::string_view ColourOf(const Row& row) {
  constexpr absl::string_view kRed = "31", kYellow = "33", kGreen = "32";
  if (row.state == "unheard" || row.state == "no answer" || row.trust == "cold" ||
      row.trust == "stale") {
    return kRed;
  }
  return row.trust == "exact" && row.state == "serving" ? kGreen : kYellow;
}

std::string Line(const Row& row, const TopView& view) {
  const std::string state = absl::StrFormat("%-9s %-9s %-20s", row.state, row.trust, row.reason);
  return absl::StrFormat("%-24s %4d %-20s ", row.worker, row.rank, row.model) +
         Coloured(view, ColourOf(row), state) +
         absl::StrFormat(" %9d %7s %6s %9d %7s %8d %10d\n", row.in_flight, row.waiting, row.kv,
                         row.blocks, row.last_batch, row.gaps, row.batches);
}

std::string Table(const Json& workers, const TopView& view) {
  std::vector<Row> rows;
  for (const Json& worker : workers) {
    for (const Json& stream : worker.at("streams")) rows.push_back(Row::Of(worker, stream));
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [&view](const Row& a, const Row& b) { return StandsBefore(a, b, view.sort); });
  std::string out =
      Coloured(view, "1",
               absl::StrFormat("%-24s %4s %-20s %-9s %-9s %-20s %9s %7s %6s %9s %7s %8s %10s",
                               "WORKER", "RANK", "MODEL", "STATE", "TRUST", "REASON", "IN FLIGHT",
                               "WAITING", "KV", "BLOCKS", "LAST", "GAPS", "BATCHES")) +
      "\n";
  for (const Row& row : rows) out += Line(row, view);
  return out;
}

// Every fact that /status has, a line each.
void AppendFacts(const Json& facts, int indent, std::string* out) {
  for (const auto& [name, value] : facts.items()) {
    if (name == "streams") continue;
    absl::StrAppend(out, std::string(static_cast<size_t>(indent), ' '), Printable(name), ": ");
    const bool nested = value.is_object() && !value.empty();
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    absl::StrAppend(out, nested ? "" : Printable(text), "\n");
    if (nested) AppendFacts(value, indent + 2, out);
  }
}

absl::StatusOr<std::string> FactsOf(const Json& workers, const TopView& view) {
  for (const Json& worker : workers) {
    if (worker.at("worker_id").get<std::string>() != view.worker) continue;
    std::string out;
    AppendFacts(worker, 0, &out);
    for (const Json& stream : worker.at("streams")) {
      out += Coloured(view, "1", absl::StrFormat("\nrank %d", stream.at("rank").get<int64_t>()));
      out += "\n";
      AppendFacts(stream, 2, &out);
    }
    return out;
  }
  return absl::NotFoundError(
      absl::StrCat("--worker: there is no worker \"", Printable(view.worker), "\""));
}

}  // namespace

absl::StatusOr<std::string> TopFrame(const TopReading& now, const Scrape& before, double seconds,
                                     const TopView& view) {
  try {
    const Json status = Json::parse(now.status_json);
    const double since = seconds > 0 ? seconds : status.at("uptime_seconds").get<double>();
    const std::string totals = Totals(status, now, before, since);
    const Json& workers = status.at("workers");
    if (view.worker.empty()) return totals + Table(workers, view);
    const absl::StatusOr<std::string> facts = FactsOf(workers, view);
    if (!facts.ok()) return facts.status();
    return totals + *facts;
  } catch (const Json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("/status: ", error.what()));
  }
}

}  // namespace kvroute
