// The picker that picker_benchmark asks, in a process of its own as behind a proxy:
// picker_server kvroute|inline|floor PORT (of the engines)
// ("inline": kvroute's, but every body is read on the event loop)
// prints its port and serves until its standard input ends.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "absl/synchronization/mutex.h"
#include "router/edge/ext_proc/server.h"
#include "test/benchmark/support/floor_picker.h"
#include "test/benchmark/support/picker_fleet.h"

namespace kvroute {
namespace {

void ServeAt(int port) {
  std::printf("%d\n", port);
  std::fflush(stdout);
  char byte = 0;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

int ServeFloor(int engine_port) {
  std::vector<std::string> endpoints;
  for (size_t i = 0; i < kPickerWorkers; ++i) endpoints.push_back(PickerEndpoint(i, engine_port));
  const FloorPicker floor(endpoints);
  ServeAt(floor.port());
  _exit(0);  // nothing of it is worth an orderly end
}

int ServeKvroute(int engine_port, bool all_inline) {
  PickerFleet fleet(engine_port);
  PickerServerOptions options;
  options.address = "127.0.0.1:0";
  options.health_address.clear();
  if (all_inline) options.picker.max_short_body_bytes = limits::kMaxBodyBytes;
  auto server = PickerServer::Start(options, {.router = &fleet.router_,
                                              .fleet = &fleet.fleet_,
                                              .routing_stats = &fleet.stats_,
                                              .stats = &fleet.picker_stats_,
                                              .bodies = &fleet.bodies_,
                                              .renderer = &fleet.renderer_,
                                              .clock = &Clock::Real()});
  KVROUTE_CHECK(server.ok());
  (*server)->SetServing(true);
  ServeAt((*server)->port());
  (*server)->Shutdown();
  return 0;
}

}  // namespace
}  // namespace kvroute

int main(int argc, char** argv) {
  // As the main of kvroute does.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  if (argc != 3) return 2;
  const std::string_view style = argv[1];
  const int engine_port = std::atoi(argv[2]);
  if (style == "floor") return kvroute::ServeFloor(engine_port);
  const bool all_inline = style == "inline";
  return style == "kvroute" || all_inline ? kvroute::ServeKvroute(engine_port, all_inline) : 2;
}
