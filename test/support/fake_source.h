#ifndef KVROUTE_TEST_SUPPORT_FAKE_SOURCE_H_
#define KVROUTE_TEST_SUPPORT_FAKE_SOURCE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "indexer/base/check.h"
#include "indexer/base/mutex.h"
#include "indexer/index/prefix_index.h"
#include "indexer/source/discovery.h"
#include "indexer/source/event_source.h"

namespace kvroute {

// A source without sockets: opens streams in a real index, and lets a test play the engine by
// writing their status. Thread safety: every method from any thread. Ownership: the index must
// outlive it.
class FakeSource final : public EventSource {
 public:
  using Key = std::pair<std::string, uint32_t>;  // worker id, rank

  explicit FakeSource(PrefixIndex* index) : index_(index) {}

  absl::StatusOr<std::shared_ptr<const StreamStatus>> AddStream(
      const StreamConfig& config) override {
    MutexLock lock(&mutex_);
    while (!hanging_endpoint_.empty() && config.event_endpoint == hanging_endpoint_) {
      hanging_ = true;
      changed_.NotifyAll();
      changed_.Wait(&mutex_);
    }
    hanging_ = false;
    if (!failing_endpoint_.empty() && config.event_endpoint == failing_endpoint_) {
      return absl::InvalidArgumentError("event_endpoint: made to fail");
    }
    return Open(config);
  }

  void RemoveStream(StreamId id) override {
    MutexLock lock(&mutex_);
    ++removed_;
    if (std::erase(open_, id) == 0) return;
    std::erase_if(streams_, [&](const auto& entry) { return entry.second->id == id; });
    index_->Close(id);
  }

  // What a listener would call; see Discover and Expire.
  void SetCallbacks(OnDiscovered on_discovered, OnExpired on_expired) {
    MutexLock lock(&mutex_);
    on_discovered_ = std::move(on_discovered);
    on_expired_ = std::move(on_expired);
  }

  void Stop() override {}

  std::vector<ThreadAge> ThreadAges() const override {
    MutexLock lock(&mutex_);
    return thread_ages_;
  }
  void SetThreadAges(std::vector<ThreadAge> ages) {
    MutexLock lock(&mutex_);
    thread_ages_ = std::move(ages);
  }

  // What a lane does when a topic is new. False: the stream was not wanted.
  bool Discover(const std::string& host, const std::string& model) {
    DiscoveredStream discovered{"kv@" + host + "@" + model, host, model, nullptr};
    OnDiscovered callback;
    {
      MutexLock lock(&mutex_);
      StreamConfig config;
      config.worker_id = discovered.topic;
      config.topic = discovered.topic;
      discovered.status = *Open(config);
      callback = on_discovered_;
    }
    return callback(discovered);
  }

  // What a lane does when a discovered stream has expired.
  void Expire(StreamId id) {
    OnExpired callback;
    {
      MutexLock lock(&mutex_);
      callback = on_expired_;
    }
    callback(id);
    RemoveStream(id);
  }

  // Streams of this endpoint cannot be added; empty: all can.
  void FailAt(std::string endpoint) {
    MutexLock lock(&mutex_);
    failing_endpoint_ = std::move(endpoint);
  }

  // Adding a stream of this endpoint does not return before another one is named; empty: none.
  void HangAt(std::string endpoint) {
    MutexLock lock(&mutex_);
    hanging_endpoint_ = std::move(endpoint);
    changed_.NotifyAll();
  }
  // Until somebody hangs there.
  void AwaitHanging() {
    MutexLock lock(&mutex_);
    while (!hanging_) changed_.Wait(&mutex_);
  }

  // The stream as its lane would see it. It must exist.
  std::shared_ptr<StreamStatus> stream(const std::string& worker_id, uint32_t rank = 0) const {
    MutexLock lock(&mutex_);
    const auto it = streams_.find(Key(worker_id, rank));
    KVROUTE_CHECK(it != streams_.end());
    return it->second;
  }
  std::vector<Key> streams() const {
    MutexLock lock(&mutex_);
    std::vector<Key> keys;
    for (const auto& [key, status] : streams_) keys.push_back(key);
    return keys;
  }
  int added() const {
    MutexLock lock(&mutex_);
    return added_;
  }
  int removed() const {
    MutexLock lock(&mutex_);
    return removed_;
  }

 private:
  absl::StatusOr<std::shared_ptr<const StreamStatus>> Open(const StreamConfig& config)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const absl::StatusOr<StreamId> id = index_->Open(config.copies.value_or(CopyMode::kCounted));
    if (!id.ok()) return id.status();
    auto status = std::make_shared<StreamStatus>();
    status->config = config;
    status->id = *id;
    streams_.insert_or_assign(Key(config.worker_id, config.rank), status);
    open_.push_back(*id);
    ++added_;
    return status;
  }

  PrefixIndex* const index_;
  mutable Mutex mutex_;
  std::map<Key, std::shared_ptr<StreamStatus>> streams_ ABSL_GUARDED_BY(mutex_);
  std::vector<StreamId> open_ ABSL_GUARDED_BY(mutex_);
  OnDiscovered on_discovered_ ABSL_GUARDED_BY(mutex_);
  OnExpired on_expired_ ABSL_GUARDED_BY(mutex_);
  std::string failing_endpoint_ ABSL_GUARDED_BY(mutex_);
  std::string hanging_endpoint_ ABSL_GUARDED_BY(mutex_);
  bool hanging_ ABSL_GUARDED_BY(mutex_) = false;
  CondVar changed_;
  std::vector<ThreadAge> thread_ages_ ABSL_GUARDED_BY(mutex_);
  int added_ ABSL_GUARDED_BY(mutex_) = 0;
  int removed_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_FAKE_SOURCE_H_
