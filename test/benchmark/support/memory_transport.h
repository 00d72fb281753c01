#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_MEMORY_TRANSPORT_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_MEMORY_TRANSPORT_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "indexer/base/mutex.h"
#include "indexer/base/named_thread.h"
#include "router/prompt/render/render_transport.h"

namespace kvroute {

// Renderers of this process, without sockets: each call is answered on a thread of its own with
// what was made for the text in it before; any other as bad. What it costs is small beside HTTP.
//
// Thread safety: every method from any thread; answers are added before the first call.
class MemoryTransport final : public RenderTransport {
 public:
  MemoryTransport();
  ~MemoryTransport() override;

  // What a call is answered whose JSON has `marker` in it.
  void AddAnswer(std::string marker, std::string json);

  uint64_t Send(Call call, std::function<void(Reply)> done) override;
  void Cancel(uint64_t) override {}
  void Run(std::function<void()> work) override;
  void RunAfter(Nanos, std::function<void()>) override {}  // renderers are probed once

 private:
  Reply Answer(std::string_view json) const;
  void Serve();

  std::map<std::string, std::string, std::less<>> answers_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> works_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  NamedThread thread_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_MEMORY_TRANSPORT_H_
