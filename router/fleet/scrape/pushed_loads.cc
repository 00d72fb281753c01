#include "router/fleet/scrape/pushed_loads.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "indexer/base/error.h"

namespace kvroute {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::chrono::milliseconds kLook{50};
constexpr std::chrono::seconds kOpenAgain{5};
constexpr uint32_t kMaxPort = 65'535;

bool MayPush(EngineKind kind) { return kind == EngineKind::kSglang || kind == EngineKind::kAuto; }

uint32_t Fitting(uint64_t number) {
  return static_cast<uint32_t>(std::min<uint64_t>(number, std::numeric_limits<uint32_t>::max()));
}

}  // namespace

std::string LoadEndpoint(std::string_view event_endpoint, uint32_t port_offset) {
  const size_t colon = event_endpoint.rfind(':');
  if (!event_endpoint.starts_with("tcp://") || colon == std::string_view::npos) return "";
  uint32_t port = 0;
  if (!absl::SimpleAtoi(std::string(event_endpoint.substr(colon + 1)), &port)) return "";
  if (port == 0 || port > kMaxPort || port_offset > kMaxPort - port) return "";
  return fmt::format("{}:{}", event_endpoint.substr(0, colon), port + port_offset);
}

PushedLoads::PushedLoads(HttpClient* client, LoadSource* source, const Fleet* fleet,
                         const PushedLoadOptions& options, const Clock* clock)
    : client_(client), source_(source), fleet_(fleet), options_(options), clock_(clock) {
  client_->Run([this] { Look(); });
}

PushedLoads::~PushedLoads() {
  client_->RunAndWait([this] {
    client_->CancelTimer(timer_);
    for (const auto& [endpoint, followed] : followed_) {
      if (followed.pushed != nullptr) source_->LeaveLoad(followed.pushed.get());
      Spoil(followed);
    }
  });
}

void PushedLoads::Look() {
  const uint64_t seen = view_ == nullptr ? 0 : view_->version;
  fleet_->Refresh(&view_);
  const Nanos now = clock_->Monotonic();
  if (view_->version != seen || (counts_.refused != 0 && now >= open_again_at_)) TakeFleet();
  uint64_t pushing = 0;
  for (auto& [endpoint, followed] : followed_) {
    Write(&followed, now);
    pushing += followed.load->engine.is_pushed.load(kRelaxed) ? 1 : 0;
  }
  counts_.pushing = pushing;
  timer_ = client_->RunAfter(kLook, [this] { Look(); });
}

void PushedLoads::TakeFleet() {
  for (const FleetTarget& target : view_->targets) {
    const StreamConfig& config = target.stream->config;
    if (!MayPush(config.engine)) continue;
    const std::string endpoint = LoadEndpoint(config.event_endpoint, options_.port_offset);
    if (endpoint.empty()) continue;
    Followed& followed = followed_[endpoint];
    if (followed.load != target.load) {
      if (followed.load != nullptr) Spoil(followed);
      followed.load = target.load;
      followed.written_ns = 0;
      followed.begun_before = target.load->begun.load(kRelaxed);
    }
    followed.stream = target.stream;
    followed.version = view_->version;
    if (followed.pushed == nullptr) Open(endpoint, &followed);
  }
  uint64_t refused = 0;
  std::erase_if(followed_, [&](const auto& each) {
    const Followed& followed = each.second;
    if (followed.version == view_->version) {
      refused += followed.pushed == nullptr ? 1 : 0;
      return false;
    }
    if (followed.pushed != nullptr) source_->LeaveLoad(followed.pushed.get());
    Spoil(followed);
    return true;
  });
  counts_.refused = refused;
  open_again_at_ = clock_->Monotonic() + kOpenAgain;
}

void PushedLoads::Open(const std::string& endpoint, Followed* followed) {
  auto pushed = source_->FollowLoad(endpoint);
  if (pushed.ok()) {
    followed->pushed = *std::move(pushed);
  } else if (const uint64_t lines = limiter_.Admit(clock_->Monotonic())) {
    LogWarning("load of {}: {}; it is scraped instead ({} alike not shown)", endpoint,
               MessageOf(pushed.status()), lines - 1);
  }
}

void PushedLoads::Write(Followed* followed, Nanos now) {
  if (followed->pushed == nullptr) return;
  const PushedLoad& pushed = *followed->pushed;
  EngineReport& report = followed->load->engine;
  const int64_t at = pushed.at_ns.load(std::memory_order_acquire);
  // Requests that were begun since the look before may not be in it.
  const uint32_t begun_before =
      std::exchange(followed->begun_before, followed->load->begun.load(kRelaxed));
  if (at == 0 || now - Nanos(at) > options_.stale_after) {
    if (report.is_pushed.load(kRelaxed)) Spoil(*followed);
    return;
  }
  if (at == followed->written_ns) return;
  followed->written_ns = at;
  const uint64_t used = pushed.used_tokens.load(kRelaxed);
  const uint64_t capacity = pushed.capacity_tokens.load(kRelaxed);
  const uint32_t block = followed->stream->block_size_tokens.load(kRelaxed);
  report.is_pushed.store(true, kRelaxed);
  report.waiting.store(pushed.waiting.load(kRelaxed), kRelaxed);
  report.running.store(pushed.running.load(kRelaxed), kRelaxed);
  const double usage =
      capacity == 0 ? 0 : static_cast<double>(used) / static_cast<double>(capacity);
  report.kv_usage_millionths.store(static_cast<uint32_t>(std::min(usage, 1.0) * 1e6), kRelaxed);
  if (block != 0 && capacity != 0)
    report.capacity_blocks.store(Fitting(capacity / block), kRelaxed);
  report.begun_before.store(begun_before, kRelaxed);
  report.at_ns.store(at, kRelaxed);
  report.is_fresh.store(true, kRelaxed);
}

// What it said is of no moment that matters any more.
void PushedLoads::Spoil(const Followed& followed) {
  EngineReport& report = followed.load->engine;
  if (!report.is_pushed.exchange(false, kRelaxed)) return;
  report.is_fresh.store(false, kRelaxed);
}

}  // namespace kvroute
