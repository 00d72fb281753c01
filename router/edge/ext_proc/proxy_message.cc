#include "router/edge/ext_proc/proxy_message.h"

#include "router/edge/ext_proc/header_names.h"

namespace kvroute {
namespace {

// The bodies of a mode that a newer proxy may know are answered like those of STREAMED.
BodyMode BodyModeOf(uint64_t number) {
  return number <= static_cast<uint64_t>(BodyMode::kGrpc) ? static_cast<BodyMode>(number)
                                                          : BodyMode::kStreamed;
}

bool ReadHeaders(std::string_view bytes, ProxyMessage* message) {
  WireCursor fields(bytes);
  while (fields.Next()) {
    if (fields.field() == 1) message->headers = fields.bytes();
    if (fields.field() == 3) message->end_of_stream = fields.flag();
  }
  return fields.ok();
}

bool ReadBody(std::string_view bytes, ProxyMessage* message) {
  WireCursor fields(bytes);
  while (fields.Next()) {
    if (fields.field() == 1) message->body = fields.bytes();
    if (fields.field() == 2) message->end_of_stream = fields.flag();
  }
  return fields.ok();
}

bool ReadTrailers(std::string_view bytes, ProxyMessage* message) {
  WireCursor fields(bytes);
  while (fields.Next()) {
    if (fields.field() == 1) message->headers = fields.bytes();
  }
  return fields.ok();
}

// A field that is missing is 0, which is NONE.
bool ReadModes(std::string_view bytes, ProxyMessage* message) {
  BodyModes modes{BodyMode::kNone, BodyMode::kNone, false};
  WireCursor fields(bytes);
  while (fields.Next()) {
    if (fields.field() == 1) modes.request = BodyModeOf(fields.number());
    if (fields.field() == 2) modes.response = BodyModeOf(fields.number());
    if (fields.field() == 3) modes.body_without_waiting = fields.flag();
  }
  message->modes = modes;
  return fields.ok();
}

// The value of `key` in a protobuf map, whose entries are fields `map` of `bytes`; false: none.
bool FindInMap(std::string_view bytes, uint32_t map, std::string_view key,
               std::string_view* value) {
  bool found = false;
  WireCursor fields(bytes);
  while (fields.Next()) {
    if (fields.field() != map) continue;
    std::string_view entry_key, entry_value;
    WireCursor entry(fields.bytes());
    while (entry.Next()) {
      if (entry.field() == 1) entry_key = entry.bytes();
      if (entry.field() == 2) entry_value = entry.bytes();
    }
    if (entry_key != key) continue;
    *value = entry_value;
    found = true;
  }
  return found;
}

// google.protobuf.Value's numbers.
constexpr uint32_t kNullValue = 1, kStringValue = 3, kListValue = 6;

// metadata[name][key], a google.protobuf.Value.
bool FindValue(std::string_view metadata, std::string_view name, std::string_view key,
               std::string_view* value) {
  std::string_view fields;
  return FindInMap(metadata, 1, name, &fields) && FindInMap(fields, 1, key, value);
}

}  // namespace

void ReadEndpoints(std::string_view text, std::vector<Endpoint>* subset, uint64_t* unreadable) {
  while (!text.empty()) {
    const size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
    while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
    if (item.empty()) continue;
    if (const auto endpoint = ParseEndpointOrHost(item)) {
      subset->push_back(*endpoint);
    } else {
      ++*unreadable;
    }
  }
}

bool ReadProxyMessage(std::string_view bytes, ProxyMessage* message) {
  *message = {};
  std::string_view content;
  WireCursor fields(bytes);
  while (fields.Next()) {
    const uint32_t field = fields.field();
    if (field >= 2 && field <= 7) {
      message->kind = static_cast<ProxyMessageKind>(field - 1);
      content = fields.bytes();
    }
    if (field == 8) message->metadata = fields.bytes();
    if (field == 10) message->observability = fields.flag();
    if (field == 11 && !ReadModes(fields.bytes(), message)) return false;
  }
  if (!fields.ok()) return false;
  switch (message->kind) {
    case ProxyMessageKind::kNone:
      return true;
    case ProxyMessageKind::kRequestHeaders:
    case ProxyMessageKind::kResponseHeaders:
      return ReadHeaders(content, message);
    case ProxyMessageKind::kRequestBody:
    case ProxyMessageKind::kResponseBody:
      return ReadBody(content, message);
    case ProxyMessageKind::kRequestTrailers:
    case ProxyMessageKind::kResponseTrailers:
      return ReadTrailers(content, message);
  }
  return false;
}

bool ReadSubset(std::string_view metadata, std::vector<Endpoint>* subset, uint64_t* unreadable) {
  subset->clear();
  std::string_view value;
  if (!FindValue(metadata, kSubsetNamespace, kSubsetHeader, &value)) return false;
  bool given = false;
  WireCursor kinds(value);
  while (kinds.Next()) {
    given = kinds.field() != kNullValue;
    if (kinds.field() == kStringValue) {
      ReadEndpoints(kinds.bytes(), subset, unreadable);
    } else if (kinds.field() == kListValue) {
      WireCursor items(kinds.bytes());
      while (items.Next()) {
        WireCursor item(items.bytes());
        while (item.Next()) {
          if (item.field() == kStringValue) {
            ReadEndpoints(item.bytes(), subset, unreadable);
          } else {
            ++*unreadable;
          }
        }
      }
    } else if (given) {
      ++*unreadable;
    }
  }
  return given;
}

std::string_view ReadServed(std::string_view metadata) {
  std::string_view value;
  if (!FindValue(metadata, kEndpointNamespace, kServedKey, &value)) return {};
  std::string_view served;
  WireCursor kinds(value);
  while (kinds.Next()) served = kinds.field() == kStringValue ? kinds.bytes() : std::string_view();
  return served;
}

}  // namespace kvroute
