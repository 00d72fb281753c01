// Bodies of other indexers' clients: the first byte says in which format, the rest is the body.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "router/edge/http_json/dialect.h"

namespace {

using kvroute::FieldRefusal;

template <typename Value>
using Read = std::optional<FieldRefusal> (*)(const kvroute::Fields&, Value*);

// Whatever is refused is refused in words that can be written down.
template <typename Value>
void Try(const kvroute::Fields& fields, Read<Value> read) {
  Value value;
  const std::optional<FieldRefusal> refusal = read(fields, &value);
  if (!refusal.has_value()) return;
  for (const auto& reply :
       {kvroute::dynamo::RefusalReply(*refusal), kvroute::mooncake::RefusalReply(*refusal)}) {
    if (reply.json.has_value()) (void)reply.json->dump();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  kvroute::Fields fields;
  const auto format = data[0] % 2 == 0 ? kvroute::BodyFormat::kJson : kvroute::BodyFormat::kMsgpack;
  if (fields.Read(body, format) != kvroute::Fields::Result::kOk) return 0;
  (void)kvroute::dynamo::Speaks(fields);
  Try<kvroute::Registration>(fields, &kvroute::dynamo::ReadRegistration);
  Try<kvroute::Removal>(fields, &kvroute::dynamo::ReadRemoval);
  Try<kvroute::ScoreAsk>(fields, &kvroute::dynamo::ReadQuery);
  Try<kvroute::ScoreAsk>(fields, &kvroute::dynamo::ReadHashQuery);
  Try<kvroute::Registration>(fields, &kvroute::mooncake::ReadRegistration);
  Try<kvroute::Removal>(fields, &kvroute::mooncake::ReadRemoval);
  Try<kvroute::ScoreAsk>(fields, &kvroute::mooncake::ReadQuery);
  return 0;
}
