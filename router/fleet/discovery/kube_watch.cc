#include "router/fleet/discovery/kube_watch.h"

#include <algorithm>
#include <utility>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

constexpr std::chrono::seconds kIdleBeyondWatch{15};
constexpr std::chrono::seconds kListDeadline{60};

// As it stands in a query: what is not unreserved is written %XX.
std::string Encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) out += c;
    if (!plain) out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace

KubeWatch::KubeWatch(HttpClient* client, KubeWatchOptions options, KubeWatchCounts* counts,
                     OnList on_list, OnEvent on_event)
    : client_(client),
      options_(std::move(options)),
      counts_(counts),
      on_list_(std::move(on_list)),
      on_event_(std::move(on_event)),
      pause_(options_.retry_min) {}

KubeWatch::~KubeWatch() {
  turn_.reset();
  client_->Cancel(transfer_);
  client_->CancelTimer(timer_);
}

template <typename... Args>
std::function<void(Args...)> KubeWatch::InTurn(void (KubeWatch::*work)(Args...)) {
  return [this, work, turn = std::weak_ptr<Turn>(turn_)](Args... args) {
    if (!turn.expired()) (this->*work)(args...);
  };
}

HttpRequest KubeWatch::RequestFor(const std::string& query) const {
  HttpRequest request;
  request.url = fmt::format("{}{}?{}{}{}", options_.server.url, options_.paths[path_],
                            options_.query, options_.query.empty() ? "" : "&", query);
  request.headers = {"Accept: application/json"};
  request.tls = options_.server.tls;
  request.bearer_token_file = options_.server.token_file;
  request.deadline = kListDeadline;
  request.max_reply_bytes = limits::kMaxKubePageBytes;
  return request;
}

void KubeWatch::List() {
  counts_->state = KubeWatchState::kListing;
  must_list_ = false;
  listed_.clear();
  continue_.clear();
  AskPage();
}

void KubeWatch::AskPage() {
  turn_ = std::make_shared<Turn>();
  std::string query = fmt::format("limit={}", options_.page_items);
  if (!continue_.empty()) query += "&continue=" + Encoded(continue_);
  transfer_ = client_->Send(RequestFor(query), InTurn(&KubeWatch::OnPage));
}

KubeTrouble KubeWatch::TroubleOf(const HttpReply& reply) {
  if (reply.end != HttpEnd::kReply) return KubeTrouble::kConnection;
  if (reply.status == 401 || reply.status == 403) return KubeTrouble::kRefused;
  if (reply.status == 404) return KubeTrouble::kUnknownKind;
  return reply.status == 410 ? KubeTrouble::kExpired : KubeTrouble::kStatus;
}

void KubeWatch::OnPage(const HttpReply& reply) {
  if (!reply.ok()) {
    const KubeTrouble trouble = TroubleOf(reply);
    if (trouble == KubeTrouble::kUnknownKind && ++unknown_ < options_.paths.size()) {
      path_ = (path_ + 1) % options_.paths.size();
      return AskPage();
    }
    if (trouble == KubeTrouble::kUnknownKind) {
      unknown_ = 0;
      path_ = (path_ + 1) % options_.paths.size();
    }
    return Retry(trouble,
                 reply.message.empty() ? fmt::format("status {}", reply.status) : reply.message,
                 true);
  }
  absl::StatusOr<KubePage> page = reader_.ReadPage(reply.body);
  if (!page.ok()) return Retry(KubeTrouble::kNotUnderstood, MessageOf(page.status()), true);
  unknown_ = 0;
  std::move(page->items.begin(), page->items.end(), std::back_inserter(listed_));
  if (listed_.size() > limits::kMaxKubeObjects) {
    return Retry(KubeTrouble::kNotUnderstood,
                 fmt::format("more than {} objects", limits::kMaxKubeObjects), true);
  }
  continue_ = std::move(page->continue_token);
  if (!continue_.empty()) return AskPage();
  version_ = std::move(page->resource_version);
  ++counts_->lists;
  counts_->listed = true;
  progressed_ = true;
  said_.reset();
  on_list_(std::exchange(listed_, {}));
  Watch();
}

void KubeWatch::Watch() {
  counts_->state = KubeWatchState::kWatching;
  turn_ = std::make_shared<Turn>();
  line_.clear();
  HttpRequest request = RequestFor(
      fmt::format("watch=1&resourceVersion={}&allowWatchBookmarks=true&timeoutSeconds={}",
                  Encoded(version_), options_.watch_for.count()));
  request.deadline = std::chrono::milliseconds(0);
  request.idle_timeout = options_.watch_for + kIdleBeyondWatch;
  request.max_reply_bytes = 0;
  transfer_ = client_->Stream(std::move(request), InTurn(&KubeWatch::OnData),
                              InTurn(&KubeWatch::OnWatchEnd));
}

void KubeWatch::OnData(std::string_view piece) {
  while (!must_list_) {
    const size_t end = piece.find('\n');
    line_.append(piece.substr(0, end));
    if (line_.size() > limits::kMaxKubeLineBytes) {
      return Retry(KubeTrouble::kNotUnderstood, "watch: a line is too long", true);
    }
    if (end == std::string_view::npos) return;
    piece.remove_prefix(end + 1);
    // A callback may end this watch.
    const std::weak_ptr<Turn> turn = turn_;
    if (line_.find_first_not_of(" \r\t") != std::string::npos) OnLine(std::exchange(line_, {}));
    if (turn.expired()) return;
    line_.clear();
  }
}

void KubeWatch::OnLine(std::string_view line) {
  absl::StatusOr<KubeEvent> event = reader_.ReadLine(line);
  if (!event.ok()) return Retry(KubeTrouble::kNotUnderstood, MessageOf(event.status()), true);
  ++counts_->events;
  if (event->change == KubeChange::kError) {
    const bool expired = event->code == 410;
    return Retry(expired ? KubeTrouble::kExpired : KubeTrouble::kStatus,
                 fmt::format("watch: {} {}", event->code, event->message), true);
  }
  progressed_ = true;
  if (!event->resource_version.empty()) version_ = event->resource_version;
  if (event->change != KubeChange::kBookmark) on_event_(event->change, std::move(event->object));
}

void KubeWatch::OnWatchEnd(const HttpReply& reply) {
  if (reply.ok() && line_.find_first_not_of(" \r\t") != std::string::npos) {
    return Retry(KubeTrouble::kNotUnderstood, "watch: ended within a line", true);
  }
  // The server has ended it in time, as it was asked to.
  if (reply.ok() && reply.took >= options_.watch_for / 2) return Watch();
  if (reply.ok()) return Retry(KubeTrouble::kConnection, "watch: ended early", false);
  const KubeTrouble trouble = TroubleOf(reply);
  const bool lists = trouble == KubeTrouble::kExpired || trouble == KubeTrouble::kUnknownKind ||
                     trouble == KubeTrouble::kStatus;
  Retry(trouble, reply.message.empty() ? fmt::format("status {}", reply.status) : reply.message,
        lists);
}

void KubeWatch::Say(KubeTrouble trouble, std::string_view why) {
  if (options_.optional && std::exchange(said_, trouble) == trouble) return;
  if (options_.optional && trouble == KubeTrouble::kUnknownKind) {
    return LogInfo("kubernetes: {}: the cluster knows no such kind", options_.paths[path_]);
  }
  if (const uint64_t lines = limiter_.Admit(Clock::Real().Monotonic())) {
    LogWarning("kubernetes: {}: {} ({}); what is known stays ({} alike not shown)",
               options_.paths[path_], why, kKubeTroubleNames[trouble], lines - 1);
  }
}

void KubeWatch::Retry(KubeTrouble trouble, std::string_view why, bool lists) {
  const bool absent = options_.optional && trouble == KubeTrouble::kUnknownKind;
  counts_->state = absent ? KubeWatchState::kAbsent : KubeWatchState::kWaiting;
  ++counts_->troubles[static_cast<size_t>(trouble)];
  Say(trouble, why);
  client_->Cancel(transfer_);
  turn_ = std::make_shared<Turn>();
  must_list_ = must_list_ || lists;
  if (std::exchange(progressed_, false)) pause_ = options_.retry_min;
  const auto pause = absl::Uniform(random_, pause_.count() / 2, pause_.count() + 1);
  pause_ = std::min(2 * pause_, options_.retry_max);
  timer_ = client_->RunAfter(std::chrono::milliseconds(pause),
                             InTurn(must_list_ ? &KubeWatch::List : &KubeWatch::Watch));
}

}  // namespace kvroute
