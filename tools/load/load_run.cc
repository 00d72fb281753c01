#include "tools/load/load_run.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "indexer/base/latency_histogram.h"
#include "indexer/base/named_thread.h"
#include "tools/client/api_client.h"
#include "tools/client/scrape.h"
#include "tools/load/score_load.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;

constexpr char kModel[] = "kvroute-load";
constexpr milliseconds kObserveInterval{5};
constexpr milliseconds kScrapeInterval{1'000};
constexpr milliseconds kProgressInterval{10'000};

std::string WorkerId(size_t stream) { return absl::StrCat("load-", stream); }

// One run. The steps are Run's lines.
class LoadRun {
 public:
  LoadRun(const LoadRunOptions& options, LoadPublisher* publisher)
      : options_(options),
        publisher_(publisher),
        client_(options.target),
        streams_(static_cast<size_t>(options.publisher.streams)),
        seen_(streams_) {}

  absl::StatusOr<LoadReport> Run() {
    report_.streams = options_.publisher.streams;
    report_.target_blocks_per_second = options_.publisher.blocks_per_second;
    if (absl::Status status = RegisterAll(); !status.ok()) return status;
    absl::Status status = AwaitExact();
    if (status.ok()) status = PublishAndObserve();
    if (status.ok()) status = Verify();
    status.Update(DeregisterAll());
    if (!status.ok()) return status;
    return report_;
  }

 private:
  absl::Status RegisterAll() {
    for (size_t stream = 0; stream < streams_; ++stream) {
      v1::Worker worker;
      worker.set_worker_id(WorkerId(stream));
      worker.set_address(absl::StrCat("load://", stream));
      worker.set_model(kModel);
      worker.set_engine(std::string(EngineKindName(EngineKindOf(options_.publisher.style))));
      worker.set_block_size_tokens(options_.publisher.engine.block_size_tokens);
      worker.set_event_endpoint(publisher_->endpoints(stream).events);
      worker.set_replay_endpoint(publisher_->endpoints(stream).replay);
      if (absl::Status status = client_.Register(worker); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status DeregisterAll() {
    absl::Status status;
    for (size_t stream = 0; stream < streams_; ++stream)
      status.Update(client_.Deregister(WorkerId(stream)));
    return status;
  }

  // Calls `visit(stream, state)` for each of this run's streams.
  absl::Status ForEachStream(
      const std::function<void(size_t stream, const v1::StreamState& state)>& visit) {
    const absl::StatusOr<v1::ListResponse> list = client_.List();
    if (!list.ok()) return list.status();
    for (const v1::WorkerStatus& worker : list->workers()) {
      if (worker.worker().model() != kModel) continue;
      for (size_t stream = 0; stream < streams_; ++stream) {
        if (worker.worker().worker_id() == WorkerId(stream)) visit(stream, worker.streams(0));
      }
    }
    return absl::OkStatus();
  }

  absl::Status AwaitExact() {
    const Nanos deadline = Now() + options_.patience;
    while (true) {
      size_t exact = 0;
      absl::Status status = ForEachStream([&](size_t, const v1::StreamState& state) {
        exact += state.connected() && state.trust() == v1::TRUST_EXACT;
      });
      if (!status.ok() || exact == streams_) return status;
      if (Now() > deadline) {
        return absl::DeadlineExceededError(
            absl::StrCat(exact, " of ", streams_, " streams became exact"));
      }
      std::this_thread::sleep_for(kObserveInterval);
    }
  }

  absl::Status PublishAndObserve() {
    publisher_->Begin();
    const Nanos start = Now();
    if (absl::Status status = ObserveUntil(start + WarmUp()); !status.ok()) return status;

    measuring_ = true;
    const PublishedTotals warm = publisher_->totals();
    if (absl::Status status = ReadMetrics(&first_scrape_); !status.ok()) return status;
    ScoreLoad scores(options_.target, kModel, options_.publisher.engine.block_size_tokens,
                     options_.scores_per_second, publisher_);
    const Nanos measure_start = Now();
    if (absl::Status status = ObserveUntil(measure_start + options_.duration); !status.ok())
      return status;

    publisher_->Stop();
    publisher_->AwaitStopped();
    report_.seconds = std::chrono::duration<double>(Now() - measure_start).count();
    const PublishedTotals all = publisher_->totals();
    report_.published = {.batches = all.batches - warm.batches,
                         .stored_blocks = all.stored_blocks - warm.stored_blocks,
                         .removed_blocks = all.removed_blocks - warm.removed_blocks,
                         .bytes = all.bytes - warm.bytes};
    report_.published_batches = all.batches;
    report_.scores = scores.Finish(&report_.failed_scores);
    if (absl::Status status = Drain(); !status.ok()) return status;
    return FinishMetrics();
  }

  Nanos WarmUp() const {
    if (options_.warm_up.count() > 0) return options_.warm_up;
    const double blocks =
        2.0 * options_.publisher.engine.capacity_blocks * static_cast<double>(streams_);
    return std::chrono::duration_cast<Nanos>(
        std::chrono::duration<double>(blocks / options_.publisher.blocks_per_second));
  }

  absl::Status ObserveUntil(Nanos end) {
    Nanos scrape_at = Now() + kScrapeInterval, progress_at = Now() + kProgressInterval;
    while (Now() < end) {
      if (absl::Status status = Observe(); !status.ok()) return status;
      if (measuring_ && Now() >= scrape_at) {
        if (absl::Status status = ReadMetrics(&last_scrape_); !status.ok()) return status;
        scrape_at += kScrapeInterval;
      }
      if (options_.progress && Now() >= progress_at) {
        std::fprintf(stderr, "load: %llu batches published, %.0f s to go\n",
                     static_cast<unsigned long long>(publisher_->totals().batches),
                     std::chrono::duration<double>(end - Now()).count());
        progress_at += kProgressInterval;
      }
      std::this_thread::sleep_for(kObserveInterval);
    }
    return absl::OkStatus();
  }

  // Every batch below next_seq was visible when the list was made; this process knows when it was
  // published.
  absl::Status Observe() {
    return ForEachStream([&](size_t stream, const v1::StreamState& state) {
      const PublishClock& clock = publisher_->clock(stream);
      const uint64_t visible = std::min(state.next_seq(), clock.published());
      if (visible > seen_[stream] + PublishClock::kKept / 2)
        seen_[stream] = visible - PublishClock::kKept / 2;
      const Nanos now = Now();
      for (; seen_[stream] < visible; ++seen_[stream]) {
        if (!measuring_) continue;
        const Nanos latency = now - clock.TimeOf(seen_[stream]);
        visible_.Observe(latency);
        slowest_ = std::max(slowest_, latency);
      }
    });
  }

  // Until everything is applied, or nothing more will be.
  absl::Status Drain() {
    const Nanos deadline = Now() + options_.patience;
    bool settled = false;
    while (!settled && Now() < deadline) {
      if (absl::Status status = Observe(); !status.ok()) return status;
      settled = true;
      for (size_t stream = 0; stream < streams_; ++stream) {
        settled = settled && seen_[stream] == publisher_->clock(stream).published();
      }
      if (!settled) std::this_thread::sleep_for(kObserveInterval);
    }
    for (uint64_t seen : seen_) report_.applied_batches += seen;
    const LatencyHistogram::Snapshot visible = visible_.Read();
    report_.visible = {.count = visible.count,
                       .p50_ms = Ms(visible.Quantile(0.5)),
                       .p90_ms = Ms(visible.Quantile(0.9)),
                       .p99_ms = Ms(visible.Quantile(0.99)),
                       .max_ms = Ms(slowest_)};
    return ForEachStream([&](size_t stream, const v1::StreamState& state) {
      report_.gaps += state.gaps();
      report_.restarts += state.restarts();
      if (state.trust() == v1::TRUST_EXACT) return;
      report_.not_exact.push_back(absl::StrCat(
          WorkerId(stream), ": ", v1::Trust_Name(state.trust()), " (", state.trust_reason(), ")"));
    });
  }

  // What each engine holds of a few conversations, against Score.
  absl::Status Verify() {
    std::vector<TokenId> tokens;
    const uint32_t block_size = options_.publisher.engine.block_size_tokens;
    for (size_t stream = 0; stream < streams_; ++stream) {
      for (const Conversation& conversation : publisher_->SampleConversations(stream)) {
        v1::ScoreRequest request;
        request.set_model(kModel);
        v1::Target* target = request.add_candidates();
        target->set_worker_id(WorkerId(stream));
        // One block more than is held: the match must end where the engine's does.
        TokensOf(conversation.content, block_size, 0, conversation.blocks + 1, &tokens);
        request.mutable_prompt()->mutable_token_ids()->Add(tokens.begin(), tokens.end());
        const absl::StatusOr<v1::ScoreResponse> response = client_.Score(request);
        if (!response.ok()) return response.status();
        const uint64_t matched =
            response->matches_size() == 1 ? response->matches(0).matched_blocks() : 0;
        ++report_.verified_prompts;
        report_.wrong_prompts += matched != conversation.blocks;
      }
    }
    return absl::OkStatus();
  }

  absl::Status ReadMetrics(std::optional<Scrape>* scrape) {
    if (!options_.http.has_value()) return absl::OkStatus();
    absl::StatusOr<Scrape> read = Scrape::Fetch(*options_.http);
    if (!read.ok()) return read.status();
    rss_max_ = std::max(rss_max_, read->Sum("process_resident_memory_bytes"));
    *scrape = *std::move(read);
    return absl::OkStatus();
  }

  absl::Status FinishMetrics() {
    if (absl::Status status = ReadMetrics(&last_scrape_); !status.ok() || !last_scrape_)
      return status;
    constexpr double kToMs = 1e3;
    LoadReport::Server server;
    server.publish_lag_p50_ms =
        kToMs * last_scrape_->Quantile("kvroute_publish_lag_seconds", 0.5, *first_scrape_);
    server.publish_lag_p99_ms =
        kToMs * last_scrape_->Quantile("kvroute_publish_lag_seconds", 0.99, *first_scrape_);
    server.cpu_cores = (last_scrape_->Sum("process_cpu_seconds_total") -
                        first_scrape_->Sum("process_cpu_seconds_total")) /
                       report_.seconds;
    server.rss_start_bytes = first_scrape_->Sum("process_resident_memory_bytes");
    server.rss_end_bytes = last_scrape_->Sum("process_resident_memory_bytes");
    server.rss_max_bytes = rss_max_;
    report_.server = server;
    return absl::OkStatus();
  }

  static Nanos Now() { return Clock::Real().Monotonic(); }

  const LoadRunOptions& options_;
  LoadPublisher* const publisher_;
  const ApiClient client_;
  const size_t streams_;
  std::vector<uint64_t> seen_;  // batches seen applied, by stream
  bool measuring_ = false;
  LatencyHistogram visible_;
  Nanos slowest_{0};
  std::optional<Scrape> first_scrape_, last_scrape_;
  double rss_max_ = 0;
  LoadReport report_;
};

}  // namespace

absl::StatusOr<LoadReport> RunLoad(const LoadRunOptions& options) {
  if (absl::Status status = ApiClient(options.target).Connect(); !status.ok()) return status;
  auto publisher = LoadPublisher::Create(options.publisher);
  if (!publisher.ok()) return publisher.status();
  NamedThread thread("load-publish", [&publisher] { (*publisher)->Run(); });
  absl::StatusOr<LoadReport> report = LoadRun(options, publisher->get()).Run();
  (*publisher)->Finish();
  thread.Join();
  return report;
}

}  // namespace kvroute
