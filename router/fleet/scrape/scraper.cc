#include "router/fleet/scrape/scraper.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

constexpr std::chrono::milliseconds kFollowFleet{200};
// Who fails to answer is asked again so soon until it counts as not answering, if not sooner.
constexpr std::chrono::milliseconds kAskAgain{100};

uint32_t Whole(double number, double times = 1) {
  return static_cast<uint32_t>(std::min(std::round(number * times), double{UINT32_MAX}));
}

}  // namespace

std::string ScrapeUrl(std::string_view address, std::string_view path) {
  std::string_view scheme = "http://";
  for (const std::string_view known : {"http://", "https://"}) {
    if (!address.starts_with(known)) continue;
    scheme = known;
    address.remove_prefix(known.size());
  }
  address = address.substr(0, address.find('/'));
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  if (colon == std::string_view::npos || colon == 0) return "";
  const std::string digits(address.substr(colon + 1));
  if (!absl::SimpleAtoi(digits, &port) || port == 0 || port > 65'535) return "";
  const std::string_view host = address.substr(0, colon);
  const bool is_v6 = host.find(':') != std::string_view::npos;
  if (is_v6 != host.starts_with('[') || host.find('@') != std::string_view::npos) return "";
  return fmt::format("{}{}{}", scheme, address, path);
}

Scraper::Scraper(HttpClient* client, const Fleet* fleet, const ScrapeOptions& options)
    : client_(client), fleet_(fleet), options_(options) {
  client_->Run([this] { FollowFleet(); });
}

Scraper::~Scraper() {
  client_->RunAndWait([this] {
    ending_ = true;
    client_->CancelTimer(following_);
    for (auto& [url, engine] : engines_) {
      client_->Cancel(engine.transfer);
      client_->CancelTimer(engine.timer);
    }
  });
}

Nanos Scraper::Jittered(Nanos around) {
  return Nanos(absl::Uniform(random_, around.count() * 9 / 10, around.count() * 11 / 10 + 1));
}

void Scraper::FollowFleet() {
  fleet_->Refresh(&view_);
  if (view_->version != version_) TakeFleet();
  AskWhoWasLost();
  following_ = client_->RunAfter(kFollowFleet, [this] { FollowFleet(); });
}

void Scraper::TakeFleet() {
  version_ = view_->version;
  for (auto& [url, engine] : engines_) {
    engine.targets.clear();
    engine.named_by_client = false;
  }
  for (const FleetTarget& target : view_->targets) {
    const WorkerSpec& spec = target.worker->spec;
    std::string url = ScrapeUrl(spec.AddressOf(target.rank), options_.path);
    if (url.empty()) continue;
    const auto [it, is_new] = engines_.try_emplace(std::move(url));
    it->second.targets.push_back({target.load, target.stream,
                                  target.stream->connected.load(std::memory_order_relaxed),
                                  spec.first_rank.value_or(0) + target.rank,
                                  target.load->begun.load(std::memory_order_relaxed)});
    if (IsNamedByClient(target.worker->source)) it->second.named_by_client = true;
    // New ones are spread over an interval, so that they are never asked all at once.
    if (is_new) {
      Schedule(it->first,
               Nanos(absl::Uniform(random_, int64_t{0}, Nanos(options_.interval).count())));
    }
  }
  std::erase_if(engines_, [this](const auto& each) {
    const Engine& engine = each.second;
    if (!engine.targets.empty()) return false;
    client_->Cancel(engine.transfer);
    client_->CancelTimer(engine.timer);
    if (engine.failures >= options_.failures) --counts_.not_answering;
    return true;
  });
  // A target that is new at an address says at once what is known of that.
  for (auto& [url, engine] : engines_) {
    if (engine.failures >= options_.failures) Spoil(engine);
  }
  counts_.engines = engines_.size();
}

void Scraper::AskWhoWasLost() {
  for (auto& [url, engine] : engines_) {
    bool lost = false;
    for (Asked& asked : engine.targets) {
      const bool connected = asked.stream->connected.load(std::memory_order_relaxed);
      lost = lost || (std::exchange(asked.connected, connected) && !connected);
    }
    if (!lost || engine.is_asked) continue;
    client_->CancelTimer(engine.timer);
    Ask(url);
  }
}

void Scraper::Schedule(const std::string& url, Nanos delay) {
  engines_[url].timer = client_->RunAfter(delay, [this, url] { Ask(url); });
}

void Scraper::Ask(const std::string& url) {
  const auto it = engines_.find(url);
  if (it == engines_.end()) return;
  Engine& engine = it->second;
  if (engine.is_asked) return;  // its timer was due already when it was asked out of turn
  engine.asked_at = Clock::Real().Monotonic();
  engine.is_asked = true;
  for (Asked& asked : engine.targets) {
    asked.begun_before = asked.load->begun.load(std::memory_order_relaxed);
  }
  HttpRequest request;
  request.url = url;
  request.deadline = request.connect_timeout = options_.timeout;
  request.max_reply_bytes = limits::kMaxMetricsPageBytes;
  request.tls = options_.tls;
  request.bearer_token_file = options_.token_file;
  if (engine.named_by_client) request.networks = options_.client_networks;
  engine.transfer = client_->Send(std::move(request), [this, url](const HttpReply& reply) {
    if (ending_ || reply.end == HttpEnd::kCancelled) return;
    const auto asked = engines_.find(url);
    if (asked != engines_.end()) OnReply(url, &asked->second, reply);
  });
}

void Scraper::OnReply(const std::string& url, Engine* engine, const HttpReply& reply) {
  engine->is_asked = false;
  ScrapeResult result = ScrapeResult::kNoAnswer;
  if (reply.status != 0) {  // of whatever kind: it is there
    OnAnswer(engine);
    numbers_.clear();
    if (reply.ok()) ReadEngineMetrics(reply.body, &numbers_);
    result = WriteNumbers(*engine) ? ScrapeResult::kLoad : ScrapeResult::kNoLoad;
  } else if (reply.end != HttpEnd::kBusy && reply.end != HttpEnd::kToken) {  // those are our own
    OnFailure(url, engine, reply);
  }
  ++counts_.scrapes[static_cast<size_t>(result)];
  const bool in_doubt = engine->failures > 0 && engine->failures < options_.failures;
  const Nanos interval =
      in_doubt ? std::min<Nanos>(kAskAgain, options_.interval) : options_.interval;
  const Nanos spent = Clock::Real().Monotonic() - engine->asked_at;
  Schedule(url, std::max(Jittered(interval) - spent, interval / 10));
}

void Scraper::OnAnswer(Engine* engine) {
  if (engine->failures >= options_.failures) --counts_.not_answering;
  engine->failures = 0;
  for (const Asked& asked : engine->targets) {
    asked.load->engine.health.store(EngineHealth::kAnswers, std::memory_order_relaxed);
  }
}

void Scraper::OnFailure(const std::string& url, Engine* engine, const HttpReply& reply) {
  if (++engine->failures < options_.failures) return;
  Spoil(*engine);
  if (engine->failures > options_.failures) return;
  ++counts_.not_answering;
  if (const uint64_t lines = limiter_.Admit(Clock::Real().Monotonic())) {
    LogWarning("engine {} does not answer: {} ({} alike not shown)", url, reply.message, lines - 1);
  }
}

void Scraper::Spoil(const Engine& engine) {
  for (const Asked& asked : engine.targets) {
    EngineReport& report = asked.load->engine;
    report.health.store(EngineHealth::kDoesNotAnswer, std::memory_order_relaxed);
    report.is_fresh.store(false, std::memory_order_relaxed);
  }
}

// One address may stand for one target with several ranks behind it, or for a target each.
bool Scraper::WriteNumbers(const Engine& engine) {
  bool some = false;
  for (const Asked& asked : engine.targets) {
    EngineNumbers numbers;
    if (engine.targets.size() == 1) numbers = Together(numbers_);
    for (const EngineNumbers& of : numbers_) {
      if (engine.targets.size() > 1 && of.rank == asked.published_rank) numbers = of;
    }
    if (numbers.has_load()) {
      Write(numbers, engine.asked_at, asked);
      some = true;
    } else if (!asked.load->engine.is_pushed.load(std::memory_order_relaxed)) {
      asked.load->engine.is_fresh.store(false, std::memory_order_relaxed);
    }
  }
  return some;
}

void Scraper::Write(const EngineNumbers& numbers, Nanos at, const Asked& asked) {
  constexpr auto relaxed = std::memory_order_relaxed;
  EngineReport& report = asked.load->engine;
  if (report.is_pushed.load(relaxed)) return;  // what it says unasked is newer
  report.waiting.store(Whole(numbers.waiting.value_or(0)), relaxed);
  report.running.store(Whole(numbers.running.value_or(0)), relaxed);
  report.kv_usage_millionths.store(Whole(numbers.kv_usage.value_or(0), 1e6), relaxed);
  report.capacity_blocks.store(Whole(numbers.capacity_blocks.value_or(0)), relaxed);
  report.begun_before.store(asked.begun_before, relaxed);
  report.at_ns.store(at.count(), relaxed);
  report.is_fresh.store(true, relaxed);
}

}  // namespace kvroute
