#include "tools/fleet/engine_flags.h"

#include "tools/command_line/command_line.h"

namespace kvroute {

void EngineFlags::AddPoolTo(Command* command) {
  command
      ->AddOption("--blocks-per-worker", &engine.capacity_blocks, "KV blocks of each rank's pool")
      .Between(1u, 100'000'000u)
      .ShowDefault();
  command->AddOption("--block-size", &engine.block_size_tokens, "Tokens a block")
      .Between(1u, 4'096u)
      .ShowDefault();
  command->AddOption("--step-tokens", &engine.max_step_tokens, "Token budget of a step")
      .Between(1u, 10'000'000u)
      .ShowDefault();
  command->AddOption("--batch", &engine.max_batch_requests, "Requests running at once")
      .Between(1u, 100'000u)
      .ShowDefault();
}

void EngineFlags::AddTo(Command* command) {
  AddPoolTo(command);
  command
      ->AddOption("--prefill-rate", &engine.prefill_tokens_per_second,
                  "Prompt tokens computed a second")
      .Between(1.0, 1e9)
      .ShowDefault();
  command->AddOption("--step-ms", &step_overhead_ms, "Fixed time of each step")
      .Between(0.001, 1e6)
      .ShowDefault();
  command->AddOption("--decode-us", &decode_us, "Added for each decoding request of a step")
      .Between(0.0, 1e9)
      .ShowDefault();
}

EngineOptions EngineFlags::Options() const {
  EngineOptions options = engine;
  options.step_overhead = Nanos(static_cast<int64_t>(step_overhead_ms * 1e6));
  options.decode_per_request = Nanos(static_cast<int64_t>(decode_us * 1e3));
  return options;
}

}  // namespace kvroute
