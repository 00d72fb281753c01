#include "router/edge/grpc_base/request_bytes.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/message.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <algorithm>
#include <cstring>

#include "indexer/base/check.h"
#include "indexer/base/error.h"

namespace kvroute {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::MessageFactory;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// Deeper than any message of ours.
constexpr int kMaxDepth = 8;
constexpr uint64_t kTextBytes = sizeof(std::string) + 16;
// A list doubles, and its old memory stays with the message.
constexpr uint64_t kListedNumberBytes = 2 * sizeof(uint64_t);
constexpr uint64_t kListedPointerBytes = 4 * sizeof(void*);
constexpr uint64_t kSlackBytes = 65'536;  // what LongWork has taken for everybody
constexpr uint64_t kUnknownBytes = 48;    // of a field that is not known: an entry that doubles

uint64_t MessageBytes(const Descriptor* type) {
  return MessageFactory::generated_factory()->GetPrototype(type)->SpaceUsedLong();
}

class Census {
 public:
  explicit Census(CodedInputStream* in) : in_(in) {}

  // Of one message, up to the stream's present limit.
  bool Count(const Descriptor* type, int depth) {
    bytes_ += MessageBytes(type);
    while (const uint32_t tag = in_->ReadTag()) {
      if (!CountField(type->FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag)), tag,
                      depth)) {
        return false;
      }
    }
    return in_->ConsumedEntireMessage();
  }
  uint64_t bytes() const { return bytes_; }

 private:
  // One that does not come as its type says is kept like one that is not known.
  static bool ComesAs(const FieldDescriptor& field, WireFormatLite::WireType wire) {
    const auto type = static_cast<WireFormatLite::FieldType>(field.type());
    return wire == WireFormatLite::WireTypeForFieldType(type) ||
           (field.is_packable() && wire == WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  }

  bool CountField(const FieldDescriptor* field, uint32_t tag, int depth) {
    const WireFormatLite::WireType wire = WireFormatLite::GetTagWireType(tag);
    if (field != nullptr && !ComesAs(*field, wire)) field = nullptr;
    if (wire == WireFormatLite::WIRETYPE_START_GROUP) {  // no message of ours has one
      const int begins = in_->CurrentPosition();
      if (!WireFormatLite::SkipField(in_, tag)) return false;
      // A field in it is two bytes at least.
      bytes_ += kUnknownBytes * static_cast<uint64_t>(in_->CurrentPosition() - begins);
      return true;
    }
    if (wire != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
      bytes_ += field == nullptr ? kUnknownBytes : field->is_repeated() ? kListedNumberBytes : 0;
      return WireFormatLite::SkipField(in_, tag);
    }
    int length = 0;
    if (!in_->ReadVarintSizeAsInt(&length)) return false;
    if (field == nullptr) {
      bytes_ += kUnknownBytes + kTextBytes + static_cast<uint64_t>(length);
      return in_->Skip(length);
    }
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        if (depth == kMaxDepth) return false;
        bytes_ += field->is_repeated() ? kListedPointerBytes : 0;
        const CodedInputStream::Limit limit = in_->PushLimit(length);
        if (!Count(field->message_type(), depth + 1)) return false;
        in_->PopLimit(limit);
        return true;
      }
      case FieldDescriptor::CPPTYPE_STRING:
        bytes_ += kTextBytes + static_cast<uint64_t>(length) +
                  (field->is_repeated() ? kListedPointerBytes : 0);
        return in_->Skip(length);
      default:
        bytes_ += PackedBytes(*field, static_cast<uint64_t>(length));
        return in_->Skip(length);
    }
  }
  // Of numbers of variable length each may be a byte.
  static uint64_t PackedBytes(const FieldDescriptor& field, uint64_t length) {
    const bool fixed = field.type() == FieldDescriptor::TYPE_FIXED32 ||
                       field.type() == FieldDescriptor::TYPE_FIXED64;
    return length * (fixed ? 2 : kListedNumberBytes);
  }

  CodedInputStream* const in_;
  uint64_t bytes_ = 0;
};

}  // namespace

RequestBytes::RequestBytes(grpc::ByteBuffer* bytes) {
  size_ = bytes->Length();
  KVROUTE_CHECK(bytes->Dump(&pieces_).ok());
  bytes->Clear();
  Rewind();
}

void RequestBytes::Rewind() {
  KVROUTE_CHECK(!frees_);
  at_ = piece_ = in_piece_ = 0;
  while (piece_ < pieces_.size() && piece().size() == 0) ++piece_;
}

void RequestBytes::Advance(uint64_t count) {
  at_ += count;
  in_piece_ += count;
  while (piece_ < pieces_.size() && in_piece_ == piece().size()) {
    if (frees_) pieces_[piece_] = grpc::Slice();
    ++piece_;
    in_piece_ = 0;
  }
}

bool RequestBytes::ReadVarint(uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 70 && !AtEnd(); shift += 7) {
    const uint8_t byte = piece().begin()[in_piece_];
    Advance(1);
    *value |= uint64_t{byte & 0x7fu} << std::min(shift, 63);
    if (byte < 0x80) return true;
  }
  return false;
}

bool RequestBytes::Skip(uint64_t count) {
  if (count > size_ - at_) return false;
  while (count > 0) {
    const uint64_t here = std::min<uint64_t>(count, piece().size() - in_piece_);
    Advance(here);
    count -= here;
  }
  return true;
}

void RequestBytes::CopyOut(uint64_t count, void* to) {
  KVROUTE_CHECK(count <= size_ - at_);
  frees_ = true;
  auto* out = static_cast<uint8_t*>(to);
  while (count > 0) {
    const uint64_t here = std::min<uint64_t>(count, piece().size() - in_piece_);
    std::memcpy(out, piece().begin() + in_piece_, here);
    out += here;
    Advance(here);
    count -= here;
  }
}

void RequestBytes::MoveOut(uint64_t count, std::vector<grpc::Slice>* to) {
  KVROUTE_CHECK(count <= size_ - at_);
  frees_ = true;
  while (count > 0) {
    const uint64_t here = std::min<uint64_t>(count, piece().size() - in_piece_);
    to->push_back(piece().sub(in_piece_, in_piece_ + here));
    Advance(here);
    count -= here;
  }
}

// Whoever took much is not expected to come again soon.
void LongNumbers::Clear() {
  std::vector<uint32_t>().swap(words);
  std::vector<uint64_t>().swap(longs);
}

absl::StatusOr<uint64_t> ParsedBytes(const Descriptor* type, const grpc::ByteBuffer& message) {
  grpc::ByteBuffer bytes = message;  // another reference to the same
  grpc::ProtoBufferReader reader(&bytes);
  CodedInputStream in(&reader);
  Census census(&in);
  if (reader.status().ok() && census.Count(type, 0)) return census.bytes();
  return absl::InvalidArgumentError("the request is not a message of this method");
}

absl::Status TakeParsedBytes(const Descriptor* type, const grpc::ByteBuffer& message,
                             MemoryShare* memory) {
  const absl::StatusOr<uint64_t> bytes = ParsedBytes(type, message);
  if (!bytes.ok()) return bytes.status();
  if (*bytes <= kSlackBytes || memory->TryTake(*bytes)) return absl::OkStatus();
  return Error(absl::StatusCode::kResourceExhausted,
               "memory.limit: the request takes {} bytes beside its token ids and hashes; there is "
               "no room for them",
               *bytes);
}

}  // namespace kvroute
