#ifndef KVROUTE_ROUTER_FLEET_PUBLISHED_H_
#define KVROUTE_ROUTER_FLEET_PUBLISHED_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>

namespace kvroute {

// The newest of a row of immutable values, each of which replaces the one before. Readers wait for
// nobody: not for the publisher, and not for one another.
//
// A value stands in one of a few slots, and `current_` says in which. A reader announces itself at
// the slot, looks again, and copies the pointer only if the slot is still the current one.
// Invariants:
//   1. A slot's pointer is written only by the publisher, only while the slot is not current and
//      nobody is announced at it.
//   2. Whoever announces himself at a slot that is not current any more does not touch its pointer.
//   3. All accesses to `current_` and `readers` are sequentially consistent: of a reader that
//      announces himself and a publisher who finds nobody, one sees what the other did.
//
// Thread safety: Read from any thread; Publish from one thread at a time.
template <typename T>
class Published {
 public:
  std::shared_ptr<const T> Read() const {
    while (true) {
      const size_t current = current_.load();
      Slot& slot = slots_[current];
      slot.readers.fetch_add(1);
      // Otherwise another value has been published since: the publisher has made progress.
      const bool good = current_.load() == current;
      std::shared_ptr<const T> value = good ? slot.value : nullptr;
      slot.readers.fetch_sub(1);
      if (good) return value;
    }
  }

  // Waits for readers, should one have been put to sleep in each of the other slots.
  void Publish(std::shared_ptr<const T> value) {
    const size_t before = current_.load();
    const size_t next = UnusedSlot(before);
    slots_[next].value = std::move(value);
    current_.store(next);
    // Else the slot keeps its value until it is used again.
    if (slots_[before].readers.load() == 0) slots_[before].value.reset();
  }

 private:
  static constexpr size_t kSlots = 8;
  struct alignas(64) Slot {
    std::atomic<uint32_t> readers{0};
    std::shared_ptr<const T> value;
  };

  size_t UnusedSlot(size_t current) const {
    while (true) {
      for (size_t i = 0; i < kSlots; ++i) {
        if (i != current && slots_[i].readers.load() == 0) return i;
      }
      std::this_thread::yield();
    }
  }

  mutable std::array<Slot, kSlots> slots_;
  std::atomic<size_t> current_{0};
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_PUBLISHED_H_
