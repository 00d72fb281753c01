#include "router/edge/ext_proc/reply.h"

#include <fmt/core.h>

#include <cstring>

#include "indexer/base/check.h"
#include "router/edge/ext_proc/header_names.h"
#include "router/edge/ext_proc/request_headers.h"

namespace kvroute {
namespace {

constexpr uint32_t kFixed64Type = 1;
constexpr uint32_t kBytesType = 2;
constexpr std::string_view kEndOfStream = "\x10\x01";  // field 2: true

size_t VarintBytes(uint64_t value) {
  size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

char* PutVarint(uint64_t value, char* to) {
  for (; value >= 0x80; value >>= 7) *to++ = static_cast<char>(value | 0x80);
  *to++ = static_cast<char>(value);
  return to;
}

// Writes protobuf fields to the end of a text.
class WireWriter {
 public:
  explicit WireWriter(std::string* out) : out_(out) {}

  void Number(uint32_t field, uint64_t value) {
    Varint(uint64_t{field} << 3);
    Varint(value);
  }
  void Double(uint32_t field, double value) {
    Varint((uint64_t{field} << 3) | kFixed64Type);
    char bytes[sizeof(value)];
    std::memcpy(bytes, &value, sizeof(value));  // little-endian, as all that we run on
    out_->append(bytes, sizeof(bytes));
  }
  void Bytes(uint32_t field, std::string_view bytes) {
    Head(field, bytes.size());
    out_->append(bytes);
  }
  // A field of so many bytes, which follow.
  void Head(uint32_t field, size_t size) {
    Varint((uint64_t{field} << 3) | kBytesType);
    Varint(size);
  }
  // A nested message: what `write` writes.
  template <typename Write>
  void Message(uint32_t field, Write write) {
    Varint((uint64_t{field} << 3) | kBytesType);
    const size_t length_at = out_->size();
    out_->push_back('\0');  // most are short
    write();
    const size_t size = out_->size() - length_at - 1;
    out_->insert(length_at, VarintBytes(size) - 1, '\0');
    PutVarint(size, out_->data() + length_at);
  }

 private:
  void Varint(uint64_t value) {
    char bytes[10];
    out_->append(bytes, static_cast<size_t>(PutVarint(value, bytes) - bytes));
  }
  std::string* const out_;
};

// A HeaderValueOption that takes the place of whatever the client sent.
void WriteHeader(std::string_view name, std::string_view value, WireWriter* out) {
  out->Message(1, [&] {
    out->Message(1, [&] {
      out->Bytes(1, name);
      out->Bytes(3, value);  // as raw_value: `value` sets an empty header
    });
    out->Number(3, 2);  // OVERWRITE_IF_EXISTS_OR_ADD
  });
}

void WriteMutation(const Reply& reply, WireWriter* out) {
  out->Message(2, [&] {
    const Pick& pick = *reply.pick;
    if (pick.endpoints.empty()) {
      out->Bytes(2, kEndpointHeader);
    } else {
      WriteHeader(kEndpointHeader, pick.endpoints, out);
    }
    if (!pick.prefiller.empty()) WriteHeader(kPrefillerHeader, pick.prefiller, out);
    if (reply.content_length) {
      WriteHeader("content-length", std::to_string(*reply.content_length), out);
    }
    if (pick.is_fixture) {
      WriteHeader(kFixtureEchoHeader, fmt::format("{}:{}", kFixtureServedHeader, pick.endpoints),
                  out);
    }
    if (pick.rank) WriteHeader(kRankHeader, std::to_string(*pick.rank), out);
    for (size_t i = 0; i < kRemovedHeaders.size(); ++i) {
      if (i == kRankHeaderIndex && pick.rank) continue;
      if (i == kPrefillerHeaderIndex && !pick.prefiller.empty()) continue;
      if ((reply.to_remove >> i & 1) != 0) out->Bytes(2, kRemovedHeaders[i]);
    }
  });
}

// {"envoy.lb": {"x-gateway-destination-endpoint": endpoints}}, and scores by endpoint beside it.
void WriteMetadata(const Pick& pick, WireWriter* out) {
  const auto entry = [out](std::string_view key, auto value) {
    out->Message(1, [&] {
      out->Bytes(1, key);
      out->Message(2, value);
    });
  };
  out->Message(8, [&] {
    entry(kEndpointNamespace, [&] {
      out->Message(5, [&] {
        entry(kEndpointHeader, [&] { out->Bytes(3, pick.endpoints); });
        if (pick.scores.empty()) return;
        entry(kScoresKey, [&] {
          out->Message(5, [&] {
            for (const auto& [endpoint, score] : pick.scores) {
              entry(endpoint, [&, value = score] { out->Double(2, value); });
            }
          });
        });
      });
    });
  });
}

void WriteImmediate(const Refusal& refusal, WireWriter* out) {
  out->Message(7, [&] {
    out->Message(1, [&] { out->Number(1, static_cast<uint64_t>(refusal.status)); });
    out->Message(2, [&] {
      WriteHeader("content-type", "application/json", out);
      if (!refusal.dropped_reason.empty()) WriteHeader(kDroppedHeader, refusal.dropped_reason, out);
    });
    out->Bytes(3, RefusalJson(refusal));
    out->Bytes(5, refusal.code);
  });
}

// A Duration: override_message_timeout.
void WriteWait(std::chrono::milliseconds wait, WireWriter* out) {
  out->Message(10, [&] {
    out->Number(1, static_cast<uint64_t>(wait.count() / 1'000));
    out->Number(2, static_cast<uint64_t>(wait.count() % 1'000) * 1'000'000);
  });
}

void WriteServed(std::string_view served, WireWriter* out) {
  out->Message(1,
               [&] { out->Message(2, [&] { WriteHeader(kFixtureServedHeader, served, out); }); });
}

// body_mutation.body or clear_body, as far as its body's bytes; with a pick, all the rest before.
void WriteReplacedHead(const Reply& reply, std::string* head) {
  constexpr std::string_view kClearBody = "\x10\x01";  // field 2: true
  std::string common;
  WireWriter inner(&common);
  if (reply.pick != nullptr) {
    WriteMutation(reply, &inner);
    inner.Number(5, 1);  // clear_route_cache
  }
  WireWriter out(head);
  if (reply.pick != nullptr && !reply.pick->endpoints.empty()) WriteMetadata(*reply.pick, &out);
  const size_t size = BodyBytes(reply);
  const size_t mutation = size == 0 ? kClearBody.size() : 1 + VarintBytes(size) + size;
  const size_t all = common.size() + 1 + VarintBytes(mutation) + mutation;
  out.Head(static_cast<uint32_t>(reply.kind), 1 + VarintBytes(all) + all);
  out.Head(1, all);
  head->append(common);
  out.Head(3, mutation);
  if (size == 0) {
    head->append(kClearBody);
  } else {
    out.Head(1, size);
  }
}

// body_mutation.streamed_response, as far as its body's bytes.
void WriteStreamedHead(const Reply& reply, WireWriter* out) {
  const size_t size = BodyBytes(reply);
  const size_t streamed = (size == 0 ? 0 : 1 + VarintBytes(size) + size) + ReplyTail(reply).size();
  const size_t mutation = 1 + VarintBytes(streamed) + streamed;
  const size_t common = 1 + VarintBytes(mutation) + mutation;
  out->Head(static_cast<uint32_t>(reply.kind), 1 + VarintBytes(common) + common);
  out->Head(1, common);
  out->Head(3, mutation);
  out->Head(3, streamed);
  if (size != 0) out->Head(1, size);
}

}  // namespace

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

size_t BodyBytes(const Reply& reply) {
  size_t bytes = 0;
  for (const std::string_view piece : reply.body) bytes += piece.size();
  return bytes;
}

std::string_view ReplyTail(const Reply& reply) {
  return reply.form == BodyForm::kStreamed && reply.end_of_stream ? kEndOfStream
                                                                  : std::string_view();
}

void WriteReplyHead(const Reply& reply, std::string* head) {
  head->clear();
  WireWriter out(head);
  if (reply.kind == Reply::Kind::kImmediate) return WriteImmediate(*reply.refusal, &out);
  if (reply.kind == Reply::Kind::kWait) return WriteWait(reply.wait, &out);
  if (reply.form == BodyForm::kStreamed) return WriteStreamedHead(reply, &out);
  if (reply.form == BodyForm::kReplaced) return WriteReplacedHead(reply, head);
  out.Message(static_cast<uint32_t>(reply.kind), [&] {
    if (!reply.served.empty()) WriteServed(reply.served, &out);
    if (reply.pick == nullptr) return;
    out.Message(1, [&] {
      WriteMutation(reply, &out);
      out.Number(5, 1);  // clear_route_cache: the endpoint is part of the route
    });
  });
  if (reply.pick != nullptr && !reply.pick->endpoints.empty()) WriteMetadata(*reply.pick, &out);
}

std::string RefusalJson(const Refusal& refusal) {
  return fmt::format("{{\"error\":{{\"message\":{},\"type\":{},\"code\":{}}}}}",
                     JsonString(refusal.message), JsonString(refusal.type),
                     JsonString(refusal.code));
}

}  // namespace kvroute
