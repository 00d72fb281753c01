#include "indexer/index/prefix_index.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <random>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"
#include "indexer/base/mutex.h"
#include "indexer/index/memory/epoch.h"
#include "indexer/index/memory/zeroed_array.h"
#include "indexer/index/room.h"
#include "indexer/index/runs/matcher.h"
#include "indexer/index/runs/run_store.h"
#include "indexer/index/scrubber.h"
#include "indexer/index/slot_table.h"
#include "indexer/index/stream_writer.h"

namespace kvroute {
namespace {

uint64_t RandomSecret() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

// A request is stored in parts of so many blocks, so that what the parts before have replaced can
// be freed, and the limit is not passed by more.
constexpr size_t kBlocksOfWrite = 1'024;
void CheckScored(Tier tier) { KVROUTE_CHECK(tier != Tier::kUnknown); }

}  // namespace

// The streams.
class PrefixIndex::Impl {
 public:
  explicit Impl(const PrefixIndexOptions& options)
      : capacity_(static_cast<uint32_t>(options.max_streams)),
        place_bits_(
            static_cast<uint32_t>(std::bit_width(std::max<size_t>(options.max_streams, 1) - 1))),
        store_(options.secret_seed != 0 ? options.secret_seed : RandomSecret()),
        budget_(options.memory != nullptr ? options.memory : &no_limit_),
        room_(&store_, budget_),
        writers_(size_t{1} << place_bits_),
        generation_(options.max_streams),
        scrubber_(&store_, &slots_) {
    // Two slots a stream: the one it uses and one that waits to be scrubbed.
    KVROUTE_CHECK(options.max_streams > 0 && options.max_streams * 2 <= kMaxSlots);
  }

  ~Impl() {
    scrubber_.Stop();
    for (uint32_t i = 0; i < used_.load(); ++i) delete writers_[i].load();
  }

  absl::StatusOr<StreamId> Open(CopyMode mode) {
    uint32_t index = 0;
    StreamId id;
    {
      MutexLock lock(&mutex_);
      if (!free_.empty()) {
        index = free_.back();
        free_.pop_back();
      } else if (used_.load() < capacity_) {
        index = used_.fetch_add(1);
      } else {
        return absl::ResourceExhaustedError(
            absl::StrCat("max_streams: ", capacity_, " are open in the index"));
      }
      id = StreamId(++generation_[index] << place_bits_ | index);
    }
    writers_[index].store(new StreamWriter(&store_, id, TakeSlot(id), mode, budget_),
                          std::memory_order_release);
    return id;
  }

  void Close(StreamId id) {
    StreamWriter& writer = Get(id);
    const uint32_t index = PlaceOf(id);
    slots_.Retire(writer.slot());
    writers_[index].store(nullptr, std::memory_order_release);
    scrubber_.Want(writer.TakeLeavings(), std::unique_ptr<StreamWriter>(&writer));
    MutexLock lock(&mutex_);
    free_.push_back(index);
  }

  uint64_t Clear(StreamId id) {
    StreamWriter& writer = Get(id);
    const uint64_t holdings = writer.holdings();
    if (holdings == 0) return 0;
    slots_.Retire(writer.slot());
    scrubber_.Want(writer.TakeLeavings());
    writer.Restart(TakeSlot(id));
    return holdings;
  }

  // The gpu's copies are not listed anywhere: the stream moves to another slot with what it has in
  // other tiers, and the old slot goes with the rest.
  uint64_t ClearTier(StreamId id, Tier tier) {
    StreamWriter& writer = Get(id);
    const uint64_t before = writer.holdings();
    if (tier == Tier::kGpu && !writer.HasOtherTiers()) return Clear(id);
    if (tier == Tier::kGpu) {
      const Slot old = writer.slot();
      const Slot fresh = TakeSlot(StreamId());
      StreamWriter::Leavings leavings;
      {
        const RunStore::Write write = BeginWrite();
        leavings = writer.MoveWithoutGpu(fresh);
      }
      slots_.Retire(old);
      slots_.SetOwner(fresh, id);
      scrubber_.Want(std::move(leavings));
    } else {
      const RunStore::Write write = BeginWrite();
      writer.DropTier(tier);
    }
    return before - writer.holdings();
  }

  RunStore::Write BeginWrite() { return RunStore::Write(&store_); }

  void Abandon(StreamId id) {
    StreamWriter& damaged = Get(id);
    writers_[PlaceOf(id)].store(
        new StreamWriter(&store_, id, TakeSlot(id), damaged.mode(), budget_),
        std::memory_order_release);
    slots_.Retire(damaged.slot());
    scrubber_.Want({});
  }

  // At most kBlocksOfWrite blocks.
  StoreResult Store(StreamId id, const StoreRequest& request) {
    StreamWriter& writer = Get(id);
    const RunStore::Write write(&store_);
    const StoreResult result = Store(writer, request);
    CountShares();
    return result;
  }
  StoreResult StoreInParts(StreamId id, const StoreRequest& request) {
    StoreResult all;
    StoreRequest part = request;
    for (size_t at = 0;;) {
      part.engine_hashes = request.engine_hashes.subspan(at, kBlocksOfWrite);
      part.local_hashes = request.local_hashes.subspan(at, kBlocksOfWrite);
      const StoreResult stored = Store(id, part);
      all.added += stored.added;
      all.duplicate += stored.duplicate;
      all.rebound += stored.rebound;
      all.renamed += stored.renamed;
      all.cut_back += stored.cut_back;
      all.status = stored.status;
      if (stored.status != StoreStatus::kStored) {
        // The part before was given up meanwhile: its end is no parent any more.
        if (at > 0) all.status = StoreStatus::kNoRoom;
        if (all.status == StoreStatus::kNoRoom) {
          all.no_room = static_cast<uint32_t>(request.engine_hashes.size() - at);
        }
        return all;
      }
      at += part.engine_hashes.size();
      if (at == request.engine_hashes.size()) return all;
      part.parent = part.engine_hashes.back();
    }
  }
  StoreResult Store(StreamWriter& writer, const StoreRequest& request) {
    if (room_.Has(writer, request.engine_hashes.size())) return writer.Store(request);
    return CutBackAndStore(writer, request);
  }
  StoreResult CutBackAndStore(StreamWriter& writer, const StoreRequest& request) {
    const size_t blocks = request.engine_hashes.size();
    StoreResult result;
    // Nothing is given up for what cannot be stored anyway.
    if (request.parent.has_value() && !writer.Holds(*request.parent)) {
      result.status = StoreStatus::kUnknownParent;
      return result;
    }
    const uint64_t cut_back = writer.CutBack(room_.Missing(writer, blocks), request.parent);
    if (room_.Has(writer, blocks)) {
      result = writer.Store(request);
    } else {
      result.status = StoreStatus::kNoRoom;
      result.no_room = static_cast<uint32_t>(blocks);
    }
    result.cut_back = cut_back;
    return result;
  }

  AddCopiesResult AddCopies(StreamId id, absl::Span<const EngineHash> engine_hashes, Tier tier,
                            uint32_t copies) {
    StreamWriter& writer = Get(id);
    const RunStore::Write write(&store_);
    AddCopiesResult result;
    const size_t blocks = engine_hashes.size();
    if (!room_.Has(writer, blocks)) {
      result.cut_back = writer.CutBack(room_.Missing(writer, blocks), std::nullopt);
      if (!room_.Has(writer, blocks)) {
        result.no_room = static_cast<uint32_t>(engine_hashes.size());
        return result;
      }
    }
    const uint64_t cut_back = result.cut_back;
    result = writer.AddCopies(engine_hashes, tier, copies);
    result.cut_back = cut_back;
    return result;
  }

  RemoveResult Remove(StreamId id, absl::Span<const EngineHash> engine_hashes, Tier tier) {
    StreamWriter& writer = Get(id);
    const RunStore::Write write(&store_);
    RemoveResult result = writer.Remove(engine_hashes, tier);
    if (!room_.Has(writer, 0)) {
      result.cut_back = writer.CutBack(room_.Missing(writer, 0), std::nullopt);
    }
    return result;
  }

  bool HasRoom(StreamId id, size_t blocks) const { return room_.Has(Get(id), blocks); }
  bool HasRoomAgain() const { return room_.HasAgain(); }
  uint64_t UsedBytes() const { return room_.UsedBytes(); }
  MemoryBudget* budget() { return budget_; }
  void ReturnFree() { store_.ReturnFree(); }

  StreamWriter& Get(StreamId id) const {
    StreamWriter* writer = writers_[PlaceOf(id)].load(std::memory_order_acquire);
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
    stats.used_bytes = UsedBytes();
    stats.twins = totals.twins;
    stats.bytes += used_.load() * (sizeof(void*) + 3 * sizeof(uint64_t));
    const EpochPin pin;
    ForEachWriter([&](const StreamWriter& writer) {
      ++stats.streams;
      stats.holdings += writer.holdings();
      stats.bytes += sizeof(StreamWriter) + writer.RecordBytes();
    });
    return stats;
  }

  const Scrubber& scrubber() const { return scrubber_; }

 private:
  uint32_t PlaceOf(StreamId id) const {
    return static_cast<uint32_t>(id.value() & ((uint64_t{1} << place_bits_) - 1));
  }

  // Under a pin: while it lasts, writers of streams that are closed meanwhile stay.
  template <typename Visit>
  void ForEachWriter(Visit visit) const {
    const uint32_t used = used_.load();
    for (uint32_t i = 0; i < used; ++i) {
      const StreamWriter* writer = writers_[i].load(std::memory_order_acquire);
      if (writer != nullptr) visit(*writer);
    }
  }
  // Behind a write, so that nothing of it changes between HasRoom and the write.
  void CountShares() {
    room_.CountShares([this](auto visit) {
      ForEachWriter([&](const StreamWriter& writer) { visit(writer.holdings()); });
    });
  }

  // Slots are only short while many wait to be scrubbed.
  Slot TakeSlot(StreamId id) {
    for (;;) {
      if (const std::optional<Slot> slot = slots_.Take(id)) return *slot;
      scrubber_.Wait();
    }
  }

  const uint32_t capacity_;
  const uint32_t place_bits_;  // of a stream's id: not a division by capacity for every operation
  MemoryBudget no_limit_;
  RunStore store_;
  MemoryBudget* const budget_;
  Room room_;
  SlotTable slots_;
  // By the low bits of the id. No id is used twice: each use of a place in the array has other high
  // bits.
  const ZeroedArray<std::atomic<StreamWriter*>> writers_;
  mutable Mutex mutex_;
  std::atomic<uint32_t> used_{0};  // places below were used at some time; grows under the mutex
  std::vector<uint32_t> free_ ABSL_GUARDED_BY(mutex_);
  const ZeroedArray<uint64_t> generation_ ABSL_GUARDED_BY(mutex_);
  Scrubber scrubber_;  // last: it uses the store and the slots, and gives writers back
};

PrefixIndex::PrefixIndex(const PrefixIndexOptions& options)
    : impl_(std::make_unique<Impl>(options)) {}
PrefixIndex::~PrefixIndex() = default;

absl::StatusOr<StreamId> PrefixIndex::Open(CopyMode mode) { return impl_->Open(mode); }
void PrefixIndex::Close(StreamId stream) { impl_->Close(stream); }
uint64_t PrefixIndex::Clear(StreamId stream) { return impl_->Clear(stream); }
uint64_t PrefixIndex::ClearTier(StreamId stream, Tier tier) {
  CheckScored(tier);
  return impl_->ClearTier(stream, tier);
}
void PrefixIndex::Abandon(StreamId stream) { impl_->Abandon(stream); }

StoreResult PrefixIndex::Store(StreamId stream, const StoreRequest& request) {
  KVROUTE_CHECK(request.engine_hashes.size() == request.local_hashes.size());
  CheckScored(request.tier);
  // A copy of the result of a small event, which has just been written, takes 7 ns.
  return request.engine_hashes.size() <= kBlocksOfWrite ? impl_->Store(stream, request)
                                                        : impl_->StoreInParts(stream, request);
}

AddCopiesResult PrefixIndex::AddCopies(StreamId stream, absl::Span<const EngineHash> engine_hashes,
                                       Tier tier, uint32_t copies) {
  CheckScored(tier);
  return impl_->AddCopies(stream, engine_hashes, tier, copies);
}

RemoveResult PrefixIndex::Remove(StreamId stream, absl::Span<const EngineHash> engine_hashes,
                                 Tier tier) {
  CheckScored(tier);
  return impl_->Remove(stream, engine_hashes, tier);
}

uint64_t PrefixIndex::Holdings(StreamId stream) const { return impl_->Get(stream).holdings(); }

uint32_t PrefixIndex::Adopt(StreamId stream, EngineHash engine_hash,
                            std::vector<EngineHash>* adopted) {
  if (!impl_->HasRoom(stream, 0)) return 0;
  const RunStore::Write write = impl_->BeginWrite();
  return impl_->Get(stream).Adopt(engine_hash, adopted);
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
void PrefixIndex::WaitForScrub() const { impl_->scrubber().Wait(); }
bool PrefixIndex::HasRoom(StreamId stream, size_t blocks) const {
  return impl_->HasRoom(stream, blocks);
}
bool PrefixIndex::HasRoomAgain() const { return impl_->HasRoomAgain(); }
uint64_t PrefixIndex::UsedBytes() const { return impl_->UsedBytes(); }
MemoryBudget* PrefixIndex::memory() { return impl_->budget(); }
void PrefixIndex::ReturnFreeMemory() { impl_->ReturnFree(); }

const ThreadPulse& PrefixIndex::scrub_pulse() const { return impl_->scrubber().pulse(); }

}  // namespace kvroute
