#ifndef KVROUTE_TOOLS_FLEET_BLOCK_KEY_H_
#define KVROUTE_TOOLS_FLEET_BLOCK_KEY_H_

#include <cstdint>

#include "indexer/base/strong_int.h"

namespace kvroute {

// Stands for a block's hash where no engine has to publish it: 64 well mixed bits, equal for equal
// prompts up to and including the block.
using BlockKey = StrongInt<struct BlockKeyTag, uint64_t>;

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_BLOCK_KEY_H_
