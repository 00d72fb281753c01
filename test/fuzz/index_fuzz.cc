// The input's bytes are the choices of an IndexScript: every operation is done to the index and to
// the reference model.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "test/support/index_script.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4 || size > 4'096) return 0;
  size_t at = 1;
  const auto below = [&](uint32_t n) -> uint32_t {
    if (at >= size) return 0;
    uint32_t choice = data[at++];
    if (n > 256 && at < size) choice = choice << 8 | data[at++];
    return choice % n;
  };
  kvroute::IndexScript::Options options;
  options.max_streams = data[0] % 4 == 0 ? 16 : 4;
  options.max_paths = 8;
  options.max_growth_blocks = data[0] % 16 == 1 ? 700 : 12;
  options.labels = 2;
  options.own_schemes = data[0] / 16 % 2 == 1;
  options.sound_schemes = data[0] / 32 % 2 == 1;
  options.offloaded = data[0] / 64 % 2 == 1;
  kvroute::IndexScript script(options, below);
  while (at < size) {
    std::string differs = script.Step();
    if (differs.empty()) differs = script.CompareAnswers(2);
    if (!differs.empty()) {
      std::fprintf(stderr, "%s", differs.c_str());
      std::abort();
    }
  }
  return 0;
}
