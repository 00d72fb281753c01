#ifndef KVROUTE_INDEXER_BASE_MEMORY_BUDGET_H_
#define KVROUTE_INDEXER_BASE_MEMORY_BUDGET_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include "indexer/base/enum_names.h"

namespace kvroute {

// A part of the process's memory with a limit of its own. Whoever takes memory for this purpose
// asks here first; what is refused is counted, and what that means is the caller's to say.
//
// Thread safety: any thread.
class MemoryBudget {
 public:
  static constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

  explicit MemoryBudget(uint64_t limit_bytes = kUnlimited) : limit_(limit_bytes) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // False, and nothing is taken, when it would be more than the limit.
  bool TryTake(uint64_t bytes);
  // Whether TryTake would be true just now; nothing is counted.
  bool HasRoom(uint64_t bytes) const { return used() <= limit_ && bytes <= limit_ - used(); }
  void GiveBack(uint64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  // For memory that was taken already: counts it, whatever the limit says. Negative: given back.
  void Charge(int64_t bytes) {
    used_.fetch_add(static_cast<uint64_t>(bytes), std::memory_order_relaxed);
  }

  uint64_t limit() const { return limit_; }
  uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }  // requests

 private:
  const uint64_t limit_;
  std::atomic<uint64_t> used_{0};
  std::atomic<uint64_t> refused_{0};
};

// What one owner has taken of a budget, with a limit of its own; it is given back when it goes.
//
// Thread safety: one thread at a time. Ownership: the budget outlives it.
class MemoryShare {
 public:
  // `budget` may be null: only the owner's limit counts then.
  MemoryShare(MemoryBudget* budget, uint64_t limit_bytes) : budget_(budget), limit_(limit_bytes) {}
  ~MemoryShare() { GiveBackAll(); }
  MemoryShare(const MemoryShare&) = delete;
  MemoryShare& operator=(const MemoryShare&) = delete;

  // False, and nothing is taken, when either limit is in the way.
  bool TryTake(uint64_t bytes);
  void GiveBack(uint64_t bytes);
  void GiveBackAll() { GiveBack(bytes_); }
  uint64_t bytes() const { return bytes_; }
  uint64_t limit() const { return limit_; }

 private:
  MemoryBudget* const budget_;
  const uint64_t limit_;
  uint64_t bytes_ = 0;
};

// What memory.limit is divided into. Metric label values.
enum class MemoryPart : uint8_t {
  kIndex,     // which stream holds which block
  kHeld,      // batches that came before their turn
  kPending,   // stored events whose parent is unknown
  kReceived,  // batches queued in sockets, and the one being decoded
  kGrpc,      // gRPC's own buffers: requests until they are read, answers until they are taken
  kLeases,    // routed requests that have not ended
  kBodies,    // of requests at the endpoint picker and in JSON, until they are answered
  kRequests,  // long gRPC requests while they are read and answered
  kPages,     // answers of the HTTP listeners that are made, or have not been read
  kPrompts,   // texts being rendered, and what is remembered of prompts that came as text
  kReplies,   // of engines, renderers and Kubernetes to what they were asked
};
inline constexpr auto kMemoryPartNames =
    NamesUpTo<MemoryPart::kReplies>("index", "held", "pending", "received", "grpc", "leases",
                                    "bodies", "requests", "pages", "prompts", "replies");
inline constexpr size_t kMemoryPartCount = kMemoryPartNames.size();
inline std::string_view MemoryPartName(MemoryPart part) { return kMemoryPartNames[part]; }

// What the process takes with nothing to do, and what its allocator keeps beside what is counted:
// first of all taken off memory.limit, but no more than three eighths of it.
inline constexpr uint64_t kProcessBytes = uint64_t{48} << 20;

// Hundredths of the rest. Of two of a hundred nobody says what they are for: parts of the index
// that are being moved, threads beyond the usual, rounding.
inline constexpr std::array<uint64_t, kMemoryPartCount> kMemoryHundredths = {38, 6,  4, 8, 14, 3,
                                                                             4,  12, 2, 3, 4};

// The most that a part can use, by MemoryPart: its hundredths beyond that go to the index.
using MemoryCeilings = std::array<uint64_t, kMemoryPartCount>;
inline constexpr MemoryCeilings UnlimitedCeilings() {
  MemoryCeilings most{};
  most.fill(MemoryBudget::kUnlimited);
  return most;
}

// The budgets of one process.
class MemoryBudgets {
 public:
  explicit MemoryBudgets(uint64_t limit_bytes, const MemoryCeilings& most = UnlimitedCeilings());

  uint64_t limit() const { return limit_; }
  MemoryBudget& of(MemoryPart part) { return parts_[static_cast<size_t>(part)]; }
  const MemoryBudget& of(MemoryPart part) const { return parts_[static_cast<size_t>(part)]; }
  // What all parts have taken, as far as it is known.
  uint64_t used() const;

 private:
  const uint64_t limit_;
  std::array<MemoryBudget, kMemoryPartCount> parts_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_MEMORY_BUDGET_H_
