#include "indexer/index/scrubber.h"

#include <utility>

#include "indexer/index/memory/epoch.h"

namespace kvroute {

Scrubber::Scrubber(RunStore* store, SlotTable* slots)
    : store_(store), slots_(slots), thread_("index-scrub", [this] { RunUntilStopped(); }) {}

void Scrubber::Stop() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
  }
  changed_.NotifyAll();
  thread_.Join();
}

void Scrubber::Want(StreamWriter::Leavings leavings, std::unique_ptr<StreamWriter> closed) {
  {
    MutexLock lock(&mutex_);
    leavings_.push_back(std::move(leavings));
    if (closed != nullptr) closed_.push_back(std::move(closed));
    wanted_ = true;
  }
  changed_.NotifyAll();
}

void Scrubber::Wait() const {
  MutexLock lock(&mutex_);
  while (wanted_ || at_work_) changed_.Wait(&mutex_);
}

void Scrubber::RunUntilStopped() {
  std::vector<StreamWriter::Leavings> leavings;
  std::vector<std::unique_ptr<StreamWriter>> closed;
  for (;;) {
    {
      MutexLock lock(&mutex_);
      at_work_ = false;
      changed_.NotifyAll();
      while (!wanted_ && !stop_) changed_.Wait(&mutex_);
      if (stop_) return;
      wanted_ = false;
      at_work_ = true;
      leavings.swap(leavings_);
      closed.swap(closed_);
    }
    const PulseOfWork work(&pulse_);
    leavings.clear();
    const std::vector<uint64_t> slots = slots_->BeginScrub();
    store_->Scrub(slots, &pulse_);
    WaitForPins();
    slots_->EndScrub(slots);
    closed.clear();
    store_->Collect();
  }
}

}  // namespace kvroute
