// The other end of route_benchmark's calls, in a process of its own as a gateway would meet it:
// route_server kvroute|sync_echo|callback_echo|async_echo_1|async_echo_2
// prints its port and serves until its standard input ends.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string_view>

#include "absl/synchronization/mutex.h"
#include "router/edge/grpc_v1/answers.h"
#include "router/edge/grpc_v1/server.h"
#include "test/benchmark/support/echo_server.h"
#include "test/benchmark/support/route_fleet.h"
#include "test/benchmark/support/route_messages.h"

namespace kvroute {
namespace {

constexpr std::chrono::milliseconds kRequestTime(50);  // from Route to its lease's end

void UntilInputEnds() {
  char byte = 0;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

void SayPort(int port) {
  std::printf("%d\n", port);
  std::fflush(stdout);
}

// Leases end as in a steady state, without a second call in the measurement: each by its time
// limit, when its request would be done.
void ServeKvroute(RouteFleet* fleet) {
  GrpcServerOptions options;
  options.address = "127.0.0.1:0";
  auto server = GrpcServer::Start(options, &fleet->router_, &fleet->fleet_, &fleet->stats_);
  KVROUTE_CHECK(server.ok());
  SayPort((*server)->port());
  UntilInputEnds();
}

int Serve(std::string_view style) {
  RouteFleet fleet(1'024, 64, {.lease_timeout = kRequestTime});
  if (style == "kvroute") {
    ServeKvroute(&fleet);
    return 0;
  }
  v1::RouteResponse answer;
  KVROUTE_CHECK(Answer(&fleet.router_, {}, RouteRequestFor(fleet.prompt), &answer).ok());
  std::unique_ptr<EchoServer> echo;
  if (style == "sync_echo") echo = StartSyncEcho(answer);
  if (style == "callback_echo") echo = StartCallbackEcho(answer);
  if (style == "async_echo_1") echo = StartAsyncEcho(answer, 1);
  if (style == "async_echo_2") echo = StartAsyncEcho(answer, 2);
  if (echo == nullptr) return 2;
  SayPort(echo->port());
  UntilInputEnds();
  _exit(0);  // nothing of the echo is worth an orderly end
}

}  // namespace
}  // namespace kvroute

int main(int argc, char** argv) {
  // As the main of kvroute does; the echoes gain by it, too.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return argc == 2 ? kvroute::Serve(argv[1]) : 2;
}
