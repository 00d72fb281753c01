#include "indexer/event/event.h"

namespace kvroute {

bool IsFullAttention(const Event& event) {
  if (event.spec_kind.empty()) return event.group_idx.value_or(0) == 0;
  return event.spec_kind == "full_attention" || event.spec_kind == "mla_attention" ||
         event.spec_kind == "sink_full_attention";
}

}  // namespace kvroute
