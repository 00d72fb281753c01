#include "indexer/base/spare_memory.h"

#include <sys/mman.h>

#include <atomic>
#include <new>

namespace kvroute {
namespace {

std::atomic<void*> spare{nullptr};
std::atomic<uint64_t> uses{0};

// What operator new calls when the system refuses; it tries again when this returns.
void LetGo() {
  void* const memory = spare.exchange(nullptr);
  if (memory == nullptr) throw std::bad_alloc();
  munmap(memory, SpareMemory::kBytes);
  uses.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

// Address space is all that it takes: it is the only memory that a system refuses rather than
// killing for it.
void SpareMemory::SetAside() {
  std::set_new_handler(LetGo);
  if (spare.load() != nullptr) return;
  void* const memory =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  void* none = nullptr;
  if (!spare.compare_exchange_strong(none, memory)) munmap(memory, kBytes);
}

uint64_t SpareMemory::Uses() { return uses.load(std::memory_order_relaxed); }

}  // namespace kvroute
