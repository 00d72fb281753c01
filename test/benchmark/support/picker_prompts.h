#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_PICKER_PROMPTS_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_PICKER_PROMPTS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "indexer/event/event.h"

// The requests on which pickers are measured: the same in every process.
namespace kvroute {

enum class PickerForm : uint8_t {
  kTokens,  // /v1/completions, the prompt as token ids
  kText,    // /v1/chat/completions, the prompt as text, of which the tokens are remembered
};

struct PickerShape {
  PickerForm form = PickerForm::kTokens;
  size_t bytes = 1'024;  // of a body, about

  static constexpr size_t kPrompts = 16;  // asked in turn
};
// Of what is measured: 1 KB, 32 KB and 400 KB.
inline constexpr size_t kPickerBodyBytes[] = {1'024, 32'768, 409'600};

std::string PickerPath(PickerForm form);
std::string PickerBody(const PickerShape& shape, size_t prompt);
std::vector<TokenId> PickerTokens(const PickerShape& shape, size_t prompt);

// The workers: the i-th has 127.0.1.(1 + i):port.
inline constexpr size_t kPickerWorkers = 64;
std::string PickerEndpoint(size_t worker, int port);
// The one that holds all of a prompt; every eighth one from there on holds its first half.
size_t PickerHolder(const PickerShape& shape, size_t prompt);

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_PICKER_PROMPTS_H_
