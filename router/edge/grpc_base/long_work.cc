#include "router/edge/grpc_base/long_work.h"

#include <sys/resource.h>
#include <unistd.h>

#include <system_error>
#include <utility>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

// Behind the event loop and the lanes when they want the processor.
constexpr int kNiceness = 5;

}  // namespace

absl::Status LongWork::Add(uint64_t connection, size_t bytes, LongTask* task, size_t answer_bytes) {
  MutexLock lock(&mutex_);
  Line& line = lines_[connection];
  const bool too_many = line.tasks.size() >= limits::kMaxLongCallsPerConnection;
  // A quarter is one connection's share.
  const bool too_long = (bytes_ != 0 && bytes_ + bytes > max_bytes_) ||
                        (line.bytes != 0 && line.bytes + bytes > max_bytes_ / 4);
  if (too_many || too_long) {
    absl::Status refused =
        Error(absl::StatusCode::kResourceExhausted,
              "long calls: {} connections with {} bytes wait, {} calls with {} of this connection; "
              "the limits are "
              "{} calls of one and {} bytes of all, a quarter of them one's",
              turns_.size(), bytes_, line.tasks.size(), line.bytes,
              limits::kMaxLongCallsPerConnection, max_bytes_);
    if (line.tasks.empty() && !line.runs) lines_.erase(connection);
    return refused;
  }
  const bool takes_turn = line.tasks.empty() && !line.runs;
  if (turns_.size() + (takes_turn ? 1 : 0) > idle_) AddThread();
  if (threads_.empty()) {
    if (takes_turn) lines_.erase(connection);
    return absl::ResourceExhaustedError(
        "long calls: the system gives no thread to answer them (RLIMIT_NPROC, or the container's "
        "limit of processes)");
  }
  if (takes_turn) turns_.push_back(connection);
  line.tasks.push_back({task, bytes, MemoryOf(bytes) + answer_bytes});
  line.bytes += bytes;
  bytes_ += bytes;
  changed_.NotifyOne();
  return absl::OkStatus();
}

// One more, if there may be and the system has one: else the present ones do what there is.
void LongWork::AddThread() {
  if (threads_.size() >= max_threads_) return;
  try {
    threads_.emplace_back(thread_name_, [this] { Serve(); });
  } catch (const std::system_error&) {
  }
}

void LongWork::Stop() {
  std::vector<NamedThread> threads;
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    changed_.NotifyAll();
    threads = std::move(threads_);
  }
  for (NamedThread& thread : threads) thread.Join();
}

void LongWork::Serve() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNiceness);
  uint64_t connection = 0;
  Waiting next{};
  for (;;) {
    {
      MutexLock lock(&mutex_);
      if (next.task != nullptr) Ended(connection, next);
      ++idle_;
      while (!TakeNext(&connection, &next)) {
        if (ending_) return;
        changed_.Wait(&mutex_);
      }
      --idle_;
    }
    next.task->Run();
  }
}

// Whoever's turn it is, or the next one for whom there is room: but not for ever.
bool LongWork::TakeNext(uint64_t* connection, Waiting* next) {
  const size_t considered =
      passed_ < kMostPassed ? turns_.size() : std::min<size_t>(turns_.size(), 1);
  for (size_t i = 0; i < considered; ++i) {
    Line& line = lines_[turns_[i]];
    if (!TakeMemory(&line.tasks.front())) continue;
    passed_ = i == 0 ? 0 : passed_ + 1;
    *connection = turns_[i];
    turns_.erase(turns_.begin() + static_cast<std::ptrdiff_t>(i));
    *next = line.tasks.front();
    line.tasks.pop_front();
    line.bytes -= next->bytes;
    bytes_ -= next->bytes;
    line.runs = true;
    ++running_;
    return true;
  }
  return false;
}

bool LongWork::TakeMemory(Waiting* task) {
  if (memory_ == nullptr) return true;
  if (running_ == 0) {
    memory_->Charge(static_cast<int64_t>(task->memory));
    return true;
  }
  if (task->found_none && !memory_->HasRoom(task->memory)) return false;
  task->found_none = !memory_->TryTake(task->memory);
  return !task->found_none;
}

void LongWork::Ended(uint64_t connection, const Waiting& task) {
  --running_;
  if (memory_ != nullptr) memory_->GiveBack(task.memory);
  const auto it = lines_.find(connection);
  it->second.runs = false;
  if (it->second.tasks.empty()) {
    lines_.erase(it);
  } else {
    turns_.push_back(connection);
  }
  changed_.NotifyAll();  // there is room for those that waited for it
}

}  // namespace kvroute
