// With few file descriptors: whatever does not fit is refused or waits, and nothing ends the
// process.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "indexer/base/error.h"
#include "indexer/base/log.h"
#include "test/support/reserved_port.h"
#include "test/support/zmq_source_fixture.h"

namespace kvroute {
namespace {

// Ends the process, which is the test's child, if it does not hold.
void Expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::_Exit(1);
}

void LimitDescriptors(rlim_t limit) {
  const rlimit both{.rlim_cur = limit, .rlim_max = limit};
  Expect(setrlimit(RLIMIT_NOFILE, &both) == 0, "setrlimit");
}

// What a fleet would hold, made of a source of its own.
struct Ingest {
  PrefixIndex index;
  StreamRegistry registry{&index, limits::kMaxStreams};
  IngestCounters counters;
  absl::StatusOr<std::unique_ptr<ZmqSource>> source =
      ZmqSource::Start(ZmqSourceOptions{}, &registry, &counters, &Clock::Real());
};

StreamConfig Nobody(size_t i) {
  StreamConfig config;
  config.worker_id = "w" + std::to_string(i);
  config.event_endpoint = "tcp://127.0.0.1:9";
  config.replay_endpoint = "tcp://127.0.0.1:9";
  return config;
}

// Adds streams until one is refused.
std::vector<std::shared_ptr<const StreamStatus>> Fill(Ingest* ingest, absl::Status* refusal) {
  std::vector<std::shared_ptr<const StreamStatus>> streams;
  for (size_t i = 0; i < limits::kMaxStreams; ++i) {
    auto stream = (*ingest->source)->AddStream(Nobody(i));
    if (!stream.ok()) {
      *refusal = stream.status();
      break;
    }
    streams.push_back(*std::move(stream));
  }
  return streams;
}

void StreamsAreRefusedAndRoomComesBack(rlim_t limit, size_t at_least) {
  LimitDescriptors(limit);
  Expect(ConfigureLog({.level = "error", .format = "text"}).ok(), "log");
  Ingest ingest;
  Expect(ingest.source.ok(), "a source starts");
  absl::Status refusal;
  const auto streams = Fill(&ingest, &refusal);
  const std::string message(MessageOf(refusal));
  std::fprintf(stderr, "%zu streams: %s\n", streams.size(), message.c_str());
  Expect(refusal.code() == absl::StatusCode::kResourceExhausted, "RESOURCE_EXHAUSTED");
  Expect(message.find(std::to_string(limit)) != std::string::npos, "it names the limit");
  Expect(message.find("ulimit -n") != std::string::npos, "and how to raise it");
  Expect(streams.size() >= at_least, "as many streams as fit");
  Expect(ingest.counters.refused_for_descriptors.load() > 0, "it is counted");
  // What is left is for others.
  std::vector<int> opened;
  for (int fd; (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) opened.push_back(fd);
  Expect(opened.size() >= std::min<size_t>(limits::kReservedDescriptors, limit / 4) / 2,
         "descriptors are left for others");
  // Somebody else takes all of them: what is tried now fails, and that is all.
  Expect(!(*ingest.source)->AddStream(Nobody(1)).ok(), "nothing fits");
  for (const int fd : opened) close(fd);
  for (const auto& stream : streams) (*ingest.source)->RemoveStream(stream->id);
  while (ingest.index.Stats().streams > 0) std::this_thread::yield();
  Expect((*ingest.source)->AddStream(Nobody(1)).ok(), "there is room again");
  std::_Exit(0);
}

using DescriptorsDeathTest = testing::Test;

TEST(DescriptorsDeathTest, StreamsAreRefusedWhereFewFit) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(StreamsAreRefusedAndRoomComesBack(256, 29), testing::ExitedWithCode(0),
              "max_open_files");
}

TEST(DescriptorsDeathTest, StreamsAreRefusedWhereManyFit) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(StreamsAreRefusedAndRoomComesBack(1'024, 145), testing::ExitedWithCode(0),
              "max_open_files");
}

// As when a configuration of 16,384 workers is loaded where 20,000 descriptors are allowed.
TEST(DescriptorsDeathTest, StreamsAreRefusedWhereThousandsFit) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t allowed = std::min<rlim_t>(20'000, limit.rlim_max);
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(StreamsAreRefusedAndRoomComesBack(allowed, allowed / 7), testing::ExitedWithCode(0),
              "max_open_files");
}

// Whatever opens descriptors at its start says so.
void ASourceWithoutDescriptorsSaysSo() {
  Expect(ConfigureLog({.level = "error", .format = "text"}).ok(), "log");
  for (rlim_t limit = 64; limit > 8; --limit) {
    LimitDescriptors(limit);
    const Ingest ingest;
    if (ingest.source.ok()) continue;
    Expect(ingest.source.status().code() == absl::StatusCode::kResourceExhausted, "its code");
  }
  std::_Exit(0);
}

TEST(DescriptorsDeathTest, ASourceThatCannotStartSaysSo) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(ASourceWithoutDescriptorsSaysSo(), testing::ExitedWithCode(0), "");
}

// A process of its own that connects to a port so often, and keeps its connections until it is
// ended. One after the other, each greeted before the next: in a burst the system drops some.
class Crowd {
 public:
  Crowd(int port, size_t connections) : child_(fork()) {
    if (child_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t greeted = 0; greeted < connections;) greeted += ConnectOnce(port) ? 1 : 0;
    for (;;) pause();
  }
  void End() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }

 private:
  // False: nobody listens there.
  static bool ConnectOnce(int port) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    pollfd item{fd, POLLIN, 0};
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
      poll(&item, 1, 50);  // whom nobody accepts is not greeted
      return true;
    }
    close(fd);
    poll(nullptr, 0, 1);
    return false;
  }

  const pid_t child_;
};

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void AListenerWithoutDescriptorsPausesAndGoesOn() {
  const ReservedPort port;
  Crowd crowd(port.number(), 300);
  LimitDescriptors(256);
  Expect(ConfigureLog({.level = "error", .format = "text"}).ok(), "log");
  Ingest ingest;
  Expect(ingest.source.ok(), "a source starts");
  std::atomic<int> discovered{0};
  const absl::Status listening = (*ingest.source)
                                     ->AddListener(
                                         {.endpoint = port.endpoint()},
                                         [&](const DiscoveredStream&) {
                                           ++discovered;
                                           return true;
                                         },
                                         nullptr);
  Expect(listening.ok(), listening.ToString().c_str());
  while (ingest.counters.refused_for_descriptors.load() == 0) std::this_thread::yield();
  // What libzmq's thread takes when it tries to accept without end is a core.
  const double before = CpuSeconds();
  const auto began = std::chrono::steady_clock::now();
  poll(nullptr, 0, 1'000);
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began;
  const double share = (CpuSeconds() - before) / passed.count();
  std::fprintf(stderr, "%.2f cores while paused\n", share);
  Expect(share < 0.3, "it does not spin");
  // The crowd goes; an engine is heard.
  crowd.End();
  ZmqContext sockets;
  auto engine = ZmqPublisher::Create(
      &sockets, {.event_endpoint = port.endpoint(), .connect = true, .topic = "kv@10.0.0.1@m"});
  Expect(engine.ok(), "an engine");
  ModelEngine model(1);
  while (discovered.load() == 0) {
    (*engine)->Publish(model.Step());
    poll(nullptr, 0, 1);
  }
  std::_Exit(0);
}

TEST(DescriptorsDeathTest, AListenerWithoutThemPausesAndGoesOn) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(AListenerWithoutDescriptorsPausesAndGoesOn(), testing::ExitedWithCode(0),
              "cores while paused");
}

}  // namespace
}  // namespace kvroute
