#include "test/support/fake_kube_api.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace kvroute::testing_support {
namespace {

// Of "?a=1&b=2"; empty: there is none.
std::string Parameter(const std::string& target, const std::string& name) {
  const size_t query = target.find('?');
  for (size_t at = query; at != std::string::npos; at = target.find('&', at + 1)) {
    if (target.compare(at + 1, name.size() + 1, name + "=") != 0) continue;
    const size_t begin = at + name.size() + 2;
    return target.substr(begin, target.find('&', begin) - begin);
  }
  return "";
}

constexpr char kGone[] =
    R"({"kind":"Status","status":"Failure","reason":"Expired","code":410,"message":"too old"})";

}  // namespace

std::string FakePod::Json() const {
  return fmt::format(
      R"({{"metadata":{{"name":"{}","namespace":"ns","uid":"{}","resourceVersion":"@","labels":{{{}}},)"
      R"("annotations":{{{}}}{}}},"spec":{{"containers":[{{"name":"c"}}]}},"status":{{"phase":"{}",)"
      R"("podIP":"{}","podIPs":[{{"ip":"{}"}}],"conditions":[{{"type":"Initialized","status":"True"}},)"
      R"({{"type":"Ready","status":"{}"}}]}}}})",
      name, uid, labels, annotations,
      terminating ? R"(,"deletionTimestamp":"2026-01-01T00:00:00Z")" : "", phase, ip, ip,
      ready ? "True" : "False");
}

std::string PoolJson(std::string_view name, std::string_view selector, std::string_view ports) {
  return fmt::format(
      R"({{"metadata":{{"name":"{}","uid":"p","resourceVersion":"@"}},"spec":{{"selector":)"
      R"({{"matchLabels":{{{}}}}},"targetPorts":[{}]}}}})",
      name, selector, ports);
}

FakeKubeApi::FakeKubeApi(const FakeHttpServer::Options& options)
    : server_(std::make_unique<FakeHttpServer>(
          options, [this](FakeHttpExchange* exchange) { Handle(exchange); })) {}

FakeKubeApi::~FakeKubeApi() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  changed_.NotifyAll();
  server_.reset();
}

void FakeKubeApi::Put(const std::string& kind, const std::string& name, std::string json) {
  MutexLock lock(&mutex_);
  ++version_;
  json = Versioned(json);
  const auto [it, added] = objects_[kind].insert_or_assign(name, json);
  Record(kind, added ? "ADDED" : "MODIFIED", it->second);
}

void FakeKubeApi::Delete(const std::string& kind, const std::string& name) {
  MutexLock lock(&mutex_);
  ++version_;
  auto node = objects_[kind].extract(name);
  if (!node.empty()) Record(kind, "DELETED", node.mapped());
}

void FakeKubeApi::Bookmark() {
  MutexLock lock(&mutex_);
  ++version_;
  for (const auto& [kind, objects] : objects_) {
    Record(kind, "BOOKMARK", Versioned(R"({"kind":"X","metadata":{"resourceVersion":"@"}})"));
  }
}

void FakeKubeApi::Record(const std::string& kind, std::string_view type, const std::string& json) {
  events_.push_back({version_, kind, fmt::format(R"({{"type":"{}","object":{}}})", type, json)});
  changed_.NotifyAll();
}

std::string FakeKubeApi::Versioned(const std::string& json) const {
  std::string text = json;
  const size_t at = text.find("\"@\"");
  if (at != std::string::npos) text.replace(at, 3, fmt::format("\"{}\"", version_));
  return text;
}

void FakeKubeApi::Compact() {
  MutexLock lock(&mutex_);
  compacted_ = ++version_;
  events_.clear();
  changed_.NotifyAll();
}

void FakeKubeApi::Set(Fault fault) {
  {
    MutexLock lock(&mutex_);
    fault_ = fault;
  }
  changed_.NotifyAll();
  if (fault == Fault::kDown || fault == Fault::kHtml) Cut();
}

void FakeKubeApi::RequireToken(std::string token) {
  {
    MutexLock lock(&mutex_);
    token_ = std::move(token);
  }
  Cut();
}

void FakeKubeApi::HideKind(std::string path_part) {
  MutexLock lock(&mutex_);
  hidden_ = std::move(path_part);
}

int FakeKubeApi::lists() const {
  MutexLock lock(&mutex_);
  return lists_;
}
int FakeKubeApi::pages() const {
  MutexLock lock(&mutex_);
  return pages_;
}
int FakeKubeApi::watches() const {
  MutexLock lock(&mutex_);
  return watches_;
}
std::string FakeKubeApi::last_query() const {
  MutexLock lock(&mutex_);
  return last_query_;
}

void FakeKubeApi::AwaitWatches(int count) {
  MutexLock lock(&mutex_);
  while (watches_ < count) changed_.Wait(&mutex_);
}

void FakeKubeApi::Handle(FakeHttpExchange* exchange) {
  const std::string path = exchange->target.substr(0, exchange->target.find('?'));
  const std::string kind = path.substr(path.rfind('/') + 1);
  int refused = 0;
  Fault fault = Fault::kNone;
  {
    MutexLock lock(&mutex_);
    fault = fault_;
    last_query_ = exchange->target;
    if (!token_.empty() && exchange->Header("authorization") != "Bearer " + token_) refused = 401;
    if (!hidden_.empty() && path.find(hidden_) != std::string::npos) refused = 404;
  }
  if (fault == Fault::kDown) return exchange->Reset();
  if (fault == Fault::kHtml) return exchange->Reply(200, "<html><body>Hello!</body></html>");
  if (refused != 0) return exchange->Reply(refused, R"({"kind":"Status"})");
  if (Parameter(exchange->target, "watch") == "1") return Watch(exchange, kind);
  List(exchange, kind);
}

void FakeKubeApi::List(FakeHttpExchange* exchange, const std::string& kind) {
  const std::string after = Parameter(exchange->target, "continue");
  const auto limit = static_cast<size_t>(std::stoi(Parameter(exchange->target, "limit")));
  std::string items, more, version;
  bool gone = false;
  {
    MutexLock lock(&mutex_);
    ++pages_;
    if (after.empty()) ++lists_;
    const size_t dot = after.find('.');  // "<version>.<name>"
    version = after.empty() ? std::to_string(version_) : after.substr(0, dot);
    gone = std::stoull(version) < compacted_;
    const auto& objects = objects_[kind];
    auto it = after.empty() ? objects.begin() : objects.upper_bound(after.substr(dot + 1));
    for (size_t count = 0; it != objects.end() && count < limit; ++it, ++count) {
      items += (count == 0 ? "" : ",") + it->second;
    }
    if (it != objects.end()) more = version + "." + std::prev(it)->first;
    changed_.NotifyAll();
  }
  if (gone) return exchange->Reply(410, kGone, "application/json");
  exchange->Reply(
      200,
      fmt::format(R"({{"kind":"List","metadata":{{"resourceVersion":"{}","continue":"{}"}},)"
                  R"("items":[{}]}})",
                  version, more, items),
      "application/json");
}

void FakeKubeApi::Watch(FakeHttpExchange* exchange, const std::string& kind) {
  uint64_t seen = std::stoull(Parameter(exchange->target, "resourceVersion"));
  bool too_old = false;
  int watch = 0;
  {
    MutexLock lock(&mutex_);
    watch = ++watches_;
    too_old = seen < compacted_;
    changed_.NotifyAll();
  }
  if (too_old && seen % 2 == 0) return exchange->Reply(410, kGone, "application/json");
  if (!exchange->BeginChunked()) return;
  while (true) {
    std::string line;
    {
      MutexLock lock(&mutex_);
      while (true) {
        if (ending_ || fault_ == Fault::kDown) return exchange->Reset();
        too_old = seen < compacted_;
        const auto next = std::find_if(events_.begin(), events_.end(), [&](const Event& event) {
          return event.kind == kind && event.version > seen;
        });
        if (fault_ != Fault::kSilent && (too_old || next != events_.end())) {
          if (!too_old) seen = next->version;
          line = too_old ? fmt::format(R"({{"type":"ERROR","object":{}}})", kGone) : next->line;
          break;
        }
        changed_.Wait(&mutex_);
      }
    }
    if (!SendEvent(exchange, line, watch)) return;
    if (too_old) {
      exchange->EndChunked();
      return;
    }
  }
}

bool FakeKubeApi::SendEvent(FakeHttpExchange* exchange, const std::string& line, int watch) {
  Fault fault = Fault::kNone;
  {
    MutexLock lock(&mutex_);
    if (watch == watches_) fault = fault_;
    const bool once =
        fault == Fault::kHalfLine || fault == Fault::kGarbageLine || fault == Fault::kHugeLine;
    if (once) fault_ = Fault::kNone;
  }
  if (fault == Fault::kGarbageLine) return exchange->Chunk("{\"type\":\"ADDED\",\"obj\n");
  if (fault == Fault::kHugeLine) return exchange->Chunk(std::string(size_t{8} << 20, 'x') + "\n");
  // In two pieces, cut somewhere.
  const size_t half = line.size() / 2;
  if (!exchange->Chunk(line.substr(0, half))) return false;
  if (fault == Fault::kHalfLine) {
    exchange->Reset();
    return false;
  }
  return exchange->Chunk(line.substr(half) + "\n");
}

}  // namespace kvroute::testing_support
