#include "indexer/index/prefix_index.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"
#include "indexer/base/mutex.h"
#include "indexer/base/named_thread.h"
#include "indexer/index/memory/epoch.h"
#include "indexer/index/memory/zeroed_array.h"
#include "indexer/index/runs/matcher.h"
#include "indexer/index/runs/run_store.h"
#include "indexer/index/slot_table.h"
#include "indexer/index/stream_writer.h"

namespace kvroute {
namespace {

uint64_t RandomSecret() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

void CheckScored(Tier tier) { KVROUTE_CHECK(tier != Tier::kUnknown); }

}  // namespace

// The streams, and the thread that scrubs the slots of those that were cleared or closed.
class PrefixIndex::Impl {
 public:
  explicit Impl(const PrefixIndexOptions& options)
      : capacity_(static_cast<uint32_t>(options.max_streams)),
        store_(options.secret_seed != 0 ? options.secret_seed : RandomSecret()),
        writers_(options.max_streams),
        generation_(options.max_streams),
        scrubber_("index-scrub", [this] { ScrubUntilStopped(); }) {
    // Two slots a stream: the one it uses and one that waits to be scrubbed.
    KVROUTE_CHECK(options.max_streams > 0 && options.max_streams * 2 <= kMaxSlots);
  }

  ~Impl() {
    {
      MutexLock lock(&mutex_);
      stop_ = true;
    }
    changed_.NotifyAll();
    scrubber_.Join();
    for (uint32_t i = 0; i < used_; ++i) delete writers_[i].load();
  }

  absl::StatusOr<StreamId> Open(CopyMode mode) {
    uint32_t index = 0;
    StreamId id;
    {
      MutexLock lock(&mutex_);
      if (!free_.empty()) {
        index = free_.back();
        free_.pop_back();
      } else if (used_ < capacity_) {
        index = used_++;
      } else {
        return absl::ResourceExhaustedError(
            absl::StrCat("max_streams: ", capacity_, " are open in the index"));
      }
      id = StreamId(++generation_[index] * capacity_ + index);
    }
    writers_[index].store(new StreamWriter(&store_, id, TakeSlot(id), mode),
                          std::memory_order_release);
    return id;
  }

  void Close(StreamId id) {
    StreamWriter& writer = Get(id);
    const uint32_t index = id.value() % capacity_;
    slots_.Retire(writer.slot());
    {
      // Stats walks the writers under the lock.
      MutexLock lock(&mutex_);
      unused_columns_.push_back(writer.TakeColumns());
      writers_[index].store(nullptr, std::memory_order_release);
      free_.push_back(index);
      scrub_wanted_ = true;
    }
    delete &writer;
    changed_.NotifyAll();
  }

  uint64_t Clear(StreamId id) {
    StreamWriter& writer = Get(id);
    const uint64_t holdings = writer.holdings();
    if (holdings == 0) return 0;
    slots_.Retire(writer.slot());
    WantScrub(writer.TakeColumns());
    writer.Restart(TakeSlot(id));
    return holdings;
  }

  RunStore::Write BeginWrite() { return RunStore::Write(&store_); }

  StreamWriter& Get(StreamId id) const {
    StreamWriter* writer = writers_[id.value() % capacity_].load(std::memory_order_acquire);
    KVROUTE_CHECK(writer != nullptr && writer->id() == id);
    return *writer;
  }

  template <typename Prompt>
  void Match(Prompt prompt, MatchResult* result) const {
    static thread_local Matcher matcher;
    EpochPin pin;
    matcher.Run(store_, slots_, prompt, result);
  }

  PrefixIndexStats Stats() const {
    PrefixIndexStats stats;
    const RunStore::Totals totals = store_.Count();
    stats.runs = totals.runs;
    stats.distinct_blocks = totals.blocks;
    stats.bytes = totals.bytes;
    MutexLock lock(&mutex_);
    stats.bytes += used_ * (sizeof(void*) + 3 * sizeof(uint32_t));
    stats.streams = used_ - free_.size();
    for (uint32_t i = 0; i < used_; ++i) {
      const StreamWriter* writer = writers_[i].load(std::memory_order_acquire);
      if (writer == nullptr) continue;
      stats.holdings += writer->holdings();
      stats.bytes += sizeof(StreamWriter) + writer->RecordBytes();
    }
    return stats;
  }

  void WaitForScrub() const {
    MutexLock lock(&mutex_);
    while (scrub_wanted_ || scrubbing_) changed_.Wait(&mutex_);
  }

 private:
  // Slots are only short while many wait to be scrubbed.
  Slot TakeSlot(StreamId id) {
    for (;;) {
      if (const std::optional<Slot> slot = slots_.Take(id)) return *slot;
      WaitForScrub();
    }
  }

  void WantScrub(std::unique_ptr<EngineHashColumns> columns) {
    {
      MutexLock lock(&mutex_);
      unused_columns_.push_back(std::move(columns));
      scrub_wanted_ = true;
    }
    changed_.NotifyAll();
  }

  void ScrubUntilStopped() {
    std::vector<std::unique_ptr<EngineHashColumns>> unused_columns;
    for (;;) {
      {
        MutexLock lock(&mutex_);
        scrubbing_ = false;
        changed_.NotifyAll();
        while (!scrub_wanted_ && !stop_) changed_.Wait(&mutex_);
        if (stop_) return;
        scrub_wanted_ = false;
        scrubbing_ = true;
        unused_columns.swap(unused_columns_);
      }
      unused_columns.clear();
      const std::vector<uint64_t> slots = slots_.BeginScrub();
      store_.Scrub(slots);
      WaitForPins();
      slots_.EndScrub(slots);
      store_.Collect();
    }
  }

  const uint32_t capacity_;
  RunStore store_;
  SlotTable slots_;
  // By id modulo capacity. An id is never used twice: each use of a place in the array is another
  // multiple of capacity.
  const ZeroedArray<std::atomic<StreamWriter*>> writers_;
  mutable Mutex mutex_;
  mutable CondVar changed_;
  uint32_t used_ ABSL_GUARDED_BY(mutex_) = 0;  // places below were used at some time
  std::vector<uint32_t> free_ ABSL_GUARDED_BY(mutex_);
  const ZeroedArray<uint32_t> generation_ ABSL_GUARDED_BY(mutex_);
  // Of streams that were cleared or closed: to be given back by the scrubber.
  std::vector<std::unique_ptr<EngineHashColumns>> unused_columns_ ABSL_GUARDED_BY(mutex_);
  bool scrub_wanted_ ABSL_GUARDED_BY(mutex_) = false;
  bool scrubbing_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  NamedThread scrubber_;  // last: it uses all of the above
};

PrefixIndex::PrefixIndex(const PrefixIndexOptions& options)
    : impl_(std::make_unique<Impl>(options)) {}
PrefixIndex::~PrefixIndex() = default;

absl::StatusOr<StreamId> PrefixIndex::Open(CopyMode mode) { return impl_->Open(mode); }
void PrefixIndex::Close(StreamId stream) { impl_->Close(stream); }
uint64_t PrefixIndex::Clear(StreamId stream) { return impl_->Clear(stream); }

StoreResult PrefixIndex::Store(StreamId stream, const StoreRequest& request) {
  KVROUTE_CHECK(request.engine_hashes.size() == request.local_hashes.size());
  CheckScored(request.tier);
  const RunStore::Write write = impl_->BeginWrite();
  return impl_->Get(stream).Store(request);
}

AddCopiesResult PrefixIndex::AddCopies(StreamId stream, absl::Span<const EngineHash> engine_hashes,
                                       Tier tier) {
  CheckScored(tier);
  const RunStore::Write write = impl_->BeginWrite();
  return impl_->Get(stream).AddCopies(engine_hashes, tier);
}

RemoveResult PrefixIndex::Remove(StreamId stream, absl::Span<const EngineHash> engine_hashes,
                                 Tier tier) {
  CheckScored(tier);
  const RunStore::Write write = impl_->BeginWrite();
  return impl_->Get(stream).Remove(engine_hashes, tier);
}

bool PrefixIndex::Holds(StreamId stream, EngineHash engine_hash) const {
  EpochPin pin;
  return impl_->Get(stream).Holds(engine_hash);
}

void PrefixIndex::Match(absl::Span<const PrefixHash> prompt, MatchResult* result) const {
  impl_->Match(prompt, result);
}
void PrefixIndex::Match(PromptChain* prompt, MatchResult* result) const {
  impl_->Match(prompt, result);
}

PrefixIndexStats PrefixIndex::Stats() const { return impl_->Stats(); }
void PrefixIndex::WaitForScrub() const { impl_->WaitForScrub(); }

}  // namespace kvroute
