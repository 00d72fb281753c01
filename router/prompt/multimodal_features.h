#ifndef KVROUTE_ROUTER_PROMPT_MULTIMODAL_FEATURES_H_
#define KVROUTE_ROUTER_PROMPT_MULTIMODAL_FEATURES_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "router/prompt/prompt_view.h"

namespace kvroute {

// The multimodal inputs of a request in vLLM's form: raw_hashes is {"image": ["hash", ...], ...}
// and raw_places {"image": [{"offset": 3, "length": 576}, ...], ...}; empty: missing. `inputs` is
// replaced by them in the order of their places; identifiers point into raw_hashes.
//
// False, and `detail` for people: they are no such things, or do not lie one behind the other
// within the prompt.
bool ReadMultimodalFeatures(std::string_view raw_hashes, std::string_view raw_places,
                            size_t prompt_tokens, std::vector<MultimodalInput>* inputs,
                            std::string* detail);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_MULTIMODAL_FEATURES_H_
