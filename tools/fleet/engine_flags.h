#ifndef KVROUTE_TOOLS_FLEET_ENGINE_FLAGS_H_
#define KVROUTE_TOOLS_FLEET_ENGINE_FLAGS_H_

#include "tools/fleet/engine.h"

namespace kvroute {

class Command;

// What a command line says about simulated engines. Must outlive the command line's run.
struct EngineFlags {
  EngineOptions engine;
  double step_overhead_ms = 10;
  double decode_us = 100;

  void AddTo(Command* command);
  // Only what says nothing of time.
  void AddPoolTo(Command* command);
  // With what the two numbers say.
  EngineOptions Options() const;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_ENGINE_FLAGS_H_
