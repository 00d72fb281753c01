#include "tools/ask/show.h"

#include <google/protobuf/util/json_util.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "indexer/base/text.h"

namespace kvroute {
namespace {

// "TRUST_EXACT" is exact.
std::string NameOf(v1::Trust trust) {
  const std::string name = v1::Trust_Name(trust);
  return absl::AsciiStrToLower(absl::StripPrefix(name, "TRUST_"));
}

std::string NameOf(const v1::Target& target) {
  return absl::StrCat(OneLine(target.worker_id()), "/", target.rank());
}

std::string StateOf(const v1::WorkerStatus& worker, const v1::StreamState& stream) {
  if (worker.draining()) return "draining";
  if (worker.not_ready()) return "not ready";
  return stream.unheard() ? "unheard" : "serving";
}

std::string MatchLine(const v1::Match& match) {
  return absl::StrFormat("%-28s %9d %9d %9d %9d  %-9s %-20s %s\n", NameOf(match.target()),
                         match.matched_blocks(), match.matched_tokens(), match.uncached_tokens(),
                         match.load().requests_in_flight(), NameOf(match.trust()),
                         OneLine(match.trust_reason()), OneLine(match.address()));
}

std::string MatchHead() {
  return absl::StrFormat("%-28s %9s %9s %9s %9s  %-9s %-20s %s\n", "TARGET", "BLOCKS", "TOKENS",
                         "UNCACHED", "IN FLIGHT", "TRUST", "REASON", "ADDRESS");
}

}  // namespace

std::string ShowWorkers(const v1::ListResponse& fleet, const std::string& model) {
  std::string out =
      absl::StrFormat("%-24s %4s %-24s %-10s %-9s %-9s %-20s %9s  %s\n", "WORKER", "RANK", "MODEL",
                      "SOURCE", "STATE", "TRUST", "REASON", "IN FLIGHT", "ADDRESS");
  for (const v1::WorkerStatus& worker : fleet.workers()) {
    if (!model.empty() && worker.worker().model() != model) continue;
    for (const v1::StreamState& stream : worker.streams()) {
      absl::StrAppendFormat(&out, "%-24s %4d %-24s %-10s %-9s %-9s %-20s %9d  %s\n",
                            OneLine(worker.worker().worker_id()), stream.rank(),
                            OneLine(worker.worker().model()), OneLine(worker.source()),
                            StateOf(worker, stream), NameOf(stream.trust()),
                            OneLine(stream.trust_reason()), stream.load().requests_in_flight(),
                            OneLine(worker.worker().address()));
    }
  }
  return out;
}

std::string ShowRoute(const v1::RouteResponse& answer) {
  const v1::Match& chosen = answer.chosen();
  std::string out = absl::StrFormat(
      "%s %s\n%s: %s; holds %d of %d tokens, %d of %d blocks; %s (%s)%s\n", NameOf(chosen.target()),
      OneLine(chosen.address()), OneLine(answer.policy()), OneLine(answer.reason()),
      chosen.matched_tokens(), answer.total_tokens(), chosen.matched_blocks(),
      answer.total_blocks(), NameOf(chosen.trust()), OneLine(chosen.trust_reason()),
      answer.request_id().empty() ? std::string()
                                  : absl::StrCat("; request ", OneLine(answer.request_id())));
  for (const v1::LeftOut& left : answer.left_out()) {
    absl::StrAppendFormat(&out, "left out: %d targets, %s\n", left.targets(),
                          OneLine(left.reason()));
  }
  if (answer.runner_ups_size() > 0) absl::StrAppend(&out, "\n", MatchHead());
  for (const v1::Match& match : answer.runner_ups()) out += MatchLine(match);
  return out;
}

std::string ShowScores(const v1::ScoreResponse& answer) {
  std::string out =
      absl::StrFormat("%d tokens, %d blocks\n", answer.total_tokens(), answer.total_blocks()) +
      MatchHead();
  for (const v1::Match& match : answer.matches()) out += MatchLine(match);
  return out;
}

std::string ShowExplanation(const v1::ExplainResponse& answer) {
  std::string out = answer.has_decision() ? ShowRoute(answer.decision()) : "no worker can serve\n";
  absl::StrAppendFormat(&out, "\n%16s  %-16s %s", "SCORE", "LEFT OUT", MatchHead());
  for (const v1::ExplainResponse::Candidate& candidate : answer.candidates()) {
    absl::StrAppendFormat(&out, "%16.1f  %-16s %s", candidate.score(),
                          candidate.left_out().empty() ? "-" : OneLine(candidate.left_out()),
                          MatchLine(candidate.match()));
  }
  return out;
}

std::string ShowJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  return status.ok() ? json + "\n" : "{}\n";
}

}  // namespace kvroute
