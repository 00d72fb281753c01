#include "router/config/serve_config.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "indexer/base/error.h"
#include "indexer/base/machine_memory.h"
#include "router/config/config_printer.h"
#include "router/config/config_sections.h"

namespace kvroute {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kLive = Applies::kLive;

void VisitRouting(FieldVisitor* v, RoutingConfig* routing) {
  v->Choice({"policy", "Used when a request names none.", kLive}, kPolicyNames, &routing->policy);
  v->Millis({"lease_timeout",
             "A routed request whose end is never told stops counting as load after this."},
            milliseconds(100), hours(24), &routing->lease_timeout);
  v->Number({"max_leases",
             "Routed requests under way; beyond it the oldest of the client with most is dropped."},
            "leases", 1, 100'000'000, &routing->max_leases);
  v->Number({"tie_break_seed",
             "For tests and simulations: which of equally good targets is chosen can be foretold. "
             "0: drawn at random."},
            "", 0, UINT32_MAX, &routing->tie_break_seed);
}

void VisitMedium(FieldVisitor* v, MediumTier* medium) {
  v->Text({"medium", "As engines publish it, in any letter case."},
          {.max_bytes = limits::kMaxNamespaceBytes, .required = true}, &medium->medium);
  std::string tier(TierName(medium->tier));
  v->Text({"tier", "What it is."},
          {.required = true, .choices = {kTierNames.begin(), kTierNames.begin() + kTierCount}},
          &tier);
  medium->tier = kTierNames.Parse(tier).value_or(medium->tier);
}

void VisitIngest(FieldVisitor* v, IngestConfig* ingest) {
  ZmqSourceOptions* const zmq = &ingest->zmq;
  StreamOptions* const stream = &zmq->stream;
  v->Number({"lanes", "Threads that receive and apply events; a stream stays on one."}, "threads",
            1, 256, &zmq->lanes);
  v->Number({"io_threads", "libzmq's own."}, "threads", 1, 64, &zmq->io_threads);
  v->Number({"receive_high_water_mark",
             "Batches queued for one stream; what the engine drops beyond is seen as a gap."},
            "batches", 1, 10'000'000, &zmq->receive_high_water_mark);
  v->Millis({"replay_timeout", "Without any reply from the engine, a replay attempt has failed."},
            milliseconds(10), hours(1), &stream->replay_timeout);
  v->Number({"replay_attempts", "Requests for the same hole."}, "attempts", 1, 100,
            &stream->replay_attempts);
  v->Millis({"replay_limit",
             "One replay without anything new, whatever comes and however many attempts it takes."},
            milliseconds(10), hours(24), &stream->replay_limit);
  v->Millis({"probe_after_idle",
             "After so much silence the engine is asked whether there is more: a lost last batch "
             "shows in nothing else."},
            milliseconds(10), hours(1), &stream->probe_after_idle);
  v->Millis({"probe_idle_max",
             "While there is nothing more, it is asked again after twice as long each time, up to "
             "this: within it a lost last batch is found."},
            milliseconds(10), hours(24), &stream->probe_idle_max);
  v->Choice({"after_loss",
             "What is known of a stream when batches are lost for good: keep it, in doubt, or "
             "forget it."},
            kAfterLossNames, &stream->after_loss);
  v->Millis({"fresh_start_after",
             "After a loss that may have been passing, until the engine is asked for everything "
             "again; doubles up to 64 times."},
            milliseconds(10), hours(24), &stream->fresh_start_after);
  v->Millis({"reconnect_min", "First pause before connecting again; doubles each time."},
            milliseconds(1), hours(1), &zmq->reconnect_min);
  v->Millis({"reconnect_max", "Longest such pause."}, milliseconds(1), hours(1),
            &zmq->reconnect_max);
  v->Number({"max_replays_per_lane",
             "Replays under way at a time on one lane; further streams wait for their turn "
             "(replay_queued)."},
            "replays", 1, 4'096, &zmq->max_replays_per_lane);
  v->Millis({"dial_timeout",
             "For a name server to know an engine's host, and for one of its addresses to take a "
             "connection."},
            milliseconds(10), hours(1), &zmq->dial_timeout);
  v->Millis({"heartbeat_interval",
             "Silence of a connection until the kernel asks whether the engine's host is there "
             "(TCP keepalive); after as long again without an answer it is lost. Rounded up to "
             "whole seconds; 0: never."},
            milliseconds(0), hours(1), &zmq->heartbeat_interval);
  v->Number({"max_held_batches", "Live batches of one stream held while its replay runs."},
            "batches", 1, 100'000'000, &stream->max_held_batches);
  v->Number({"max_held_memory", "Bytes of those batches."}, "bytes", 1 << 16, uint64_t{64} << 30,
            &stream->max_held_memory_bytes);
  v->Number({"max_pending_memory", "Stored events of one stream whose parent is unknown."}, "bytes",
            0, uint64_t{64} << 30, &stream->max_pending_memory_bytes);
  v->Number({"max_streams", "Streams (worker ranks) in all."}, "streams", 1, limits::kMaxStreams,
            &ingest->max_streams);
  v->ListOf(Field{"media", "Media that kvroute does not know, or takes for another tier."},
            limits::kMaxMedia, &zmq->media, [v](MediumTier* medium) { VisitMedium(v, medium); });
  v->Check([zmq] {
    if (zmq->reconnect_min <= zmq->reconnect_max) return absl::OkStatus();
    return InvalidArgument("reconnect_min: {} is above reconnect_max, {}",
                           FormatDuration(zmq->reconnect_min), FormatDuration(zmq->reconnect_max));
  });
}

void VisitMemory(FieldVisitor* v, MemoryConfig* memory) {
  v->Number({"limit",
             "Of the whole process, divided into named budgets; at one of them something is left "
             "out and said. 0: 80 % of the container's memory, or of the machine's."},
            "bytes", 0, uint64_t{1} << 50, &memory->limit_bytes);
  v->Check([memory] {
    if (memory->limit_bytes == 0 || memory->limit_bytes >= MemoryConfig::kLeastBytes) {
      return absl::OkStatus();
    }
    return InvalidArgument("limit: {} bytes; must be 0 or {} and more", memory->limit_bytes,
                           MemoryConfig::kLeastBytes);
  });
}

// What a running kvroute would refuse as well: one id or one event stream of two workers.
absl::Status CheckWorkers(const std::vector<WorkerConfig>& workers) {
  std::map<std::string, size_t> ids, endpoints;
  for (size_t i = 0; i < workers.size(); ++i) {
    const WorkerSpec& spec = workers[i].spec;
    if (const auto [first, is_new] = ids.emplace(spec.worker_id, i); !is_new) {
      return InvalidArgument("workers[{}]: worker_id \"{}\" is that of workers[{}] as well", i,
                             spec.worker_id, first->second);
    }
    for (uint32_t rank = 0; rank < spec.data_parallel_size; ++rank) {
      const std::string endpoint = StreamConfigOf(spec, rank).event_endpoint;
      if (const auto [first, is_new] = endpoints.emplace(endpoint, i); !is_new) {
        return InvalidArgument("workers[{}]: event_endpoint \"{}\" is that of workers[{}] as well",
                               i, endpoint, first->second);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

uint64_t MemoryConfig::LimitBytes() const {
  if (limit_bytes != 0) return limit_bytes;
  constexpr uint64_t kUnknownMachine = uint64_t{4} << 30;
  const uint64_t machine = MachineMemoryBytes();
  const uint64_t limit = machine != 0 ? machine / 100 * kDefaultHundredths : kUnknownMachine;
  return std::max(limit, kLeastBytes);
}

void VisitFields(FieldVisitor* v, ServeConfig* config) {
  v->Group({"grpc", ""}, [&] { VisitGrpc(v, &config->grpc); });
  v->Group({"picker", ""}, [&] { VisitPicker(v, &config->picker); });
  v->Group({"http", ""}, [&] { VisitHttp(v, &config->http); });
  v->Group({"http_json", ""}, [&] { VisitHttpJson(v, &config->http_json); });
  v->Group({"routing", ""}, [&] { VisitRouting(v, &config->routing); });
  v->Group({"ingest", ""}, [&] { VisitIngest(v, &config->ingest); });
  v->Group({"memory", ""}, [&] { VisitMemory(v, &config->memory); });
  v->Group({"prompts", ""}, [&] { VisitPrompts(v, &config->prompts); });
  v->Group({"readiness", ""}, [&] {
    v->Millis({"grace",
               "After this /readyz is ready even if configured streams are still cold or syncing.",
               kLive},
              milliseconds(0), hours(24), &config->readiness_grace);
  });
  v->Group({"shutdown", ""}, [&] {
    v->Millis(
        {"lame_duck",
         "On SIGTERM, readiness and health say no for this long while all is still served, so "
         "that clients and balancers go elsewhere first.",
         kLive},
        milliseconds(0), seconds(600), &config->shutdown_lame_duck);
    v->Millis({"grace", "On SIGTERM, calls under way may end for this long.", kLive},
              milliseconds(0), seconds(600), &config->shutdown_grace);
  });
  v->Group({"log", ""}, [&] {
    v->Text({"level", "Least severe lines written to standard error.", kLive},
            {.choices = {"trace", "debug", "info", "warning", "error", "off"}}, &config->log.level);
    v->Text({"format", "text, or one JSON object a line.", kLive}, {.choices = {"text", "json"}},
            &config->log.format);
  });
  v->ListOf(Field{"listeners", "Sockets that engines connect to."}, limits::kMaxListeners,
            &config->listeners, [v](ListenerFields* listener) { VisitListener(v, listener); });
  v->Group({"discovery", ""}, [&] { VisitDiscovery(v, &config->discovery); });
  v->Group({"scrape", ""}, [&] { VisitScrape(v, &config->scrape); });
  v->ListOf(Field{"workers", "Engines kvroute connects to.", kLive}, limits::kMaxStreams,
            &config->workers, [v](WorkerConfig* worker) { VisitWorker(v, worker); });
  v->Check([config] { return CheckWorkers(config->workers); });
}

std::string FieldReference() {
  ServeConfig defaults;
  ConfigPrinter printer(ConfigPrinter::Purpose::kDescriptions);
  VisitFields(&printer, &defaults);
  std::string out =
      "| field | type | default | range | applies | meaning |\n|---|---|---|---|---|---|\n";
  for (const FieldDescription& field : printer.descriptions()) {
    const std::string value = field.default_value.empty() ? "" : "`" + field.default_value + "`";
    out += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", field.path, field.type, value,
                       field.range, field.applies == kLive ? "live" : "restart", field.help);
  }
  return out;
}

std::string PrintConfig(const ServeConfig& config,
                        const std::map<std::string, std::string>& said_by) {
  ServeConfig copy = config;
  ConfigPrinter printer(ConfigPrinter::Purpose::kValues, said_by);
  VisitFields(&printer, &copy);
  return printer.yaml();
}

std::vector<std::string> FieldsThatNeedRestart(const ServeConfig& before,
                                               const ServeConfig& after) {
  ConfigPrinter old_values(ConfigPrinter::Purpose::kValues);
  ConfigPrinter new_values(ConfigPrinter::Purpose::kValues);
  ServeConfig old_copy = before, new_copy = after;
  VisitFields(&old_values, &old_copy);
  VisitFields(&new_values, &new_copy);
  std::vector<std::string> changed;
  for (const auto& [path, value] : new_values.values()) {
    const auto old = old_values.values().find(path);
    const bool same = old != old_values.values().end() && old->second.text == value.text;
    if (value.applies == Applies::kRestart && !same) changed.push_back(path);
  }
  return changed;  // an item that went shows in its list's count
}

}  // namespace kvroute
