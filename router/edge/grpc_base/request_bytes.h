#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_REQUEST_BYTES_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_REQUEST_BYTES_H_

#include <google/protobuf/descriptor.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "indexer/base/memory_budget.h"

// What becomes of a long request before protobuf sees it: a message of few bytes may be much memory
// once it is parsed, and a list of numbers is there three times over while it is.
namespace kvroute {

// The bytes of a request, which lie in pieces as they came from the network, from the front on.
//
// Thread safety: one thread at a time.
class RequestBytes {
 public:
  // Takes the pieces; `bytes` is empty then.
  explicit RequestBytes(grpc::ByteBuffer* bytes);

  uint64_t at() const { return at_; }
  uint64_t size() const { return size_; }
  bool AtEnd() const { return at_ == size_; }

  // False, and nothing is read, at the end of the message or where it is no number.
  bool ReadVarint(uint64_t* value);
  bool Skip(uint64_t count);

  void Rewind();
  // The next `count` bytes, which must be there. From then on what was read is freed piece by
  // piece.
  void CopyOut(uint64_t count, void* to);
  // Adds the pieces of the next `count` bytes, which must be there.
  void MoveOut(uint64_t count, std::vector<grpc::Slice>* to);

 private:
  const grpc::Slice& piece() const { return pieces_[piece_]; }
  void Advance(uint64_t count);  // within the piece

  std::vector<grpc::Slice> pieces_;
  uint64_t size_ = 0;
  uint64_t at_ = 0;
  size_t piece_ = 0;     // where at_ is
  size_t in_piece_ = 0;  // bytes of it that were read
  bool frees_ = false;
};

// Numbers of a request that are many, taken out of its bytes before it is parsed.
struct LongNumbers {
  std::vector<uint32_t> words;
  std::vector<uint64_t> longs;

  bool empty() const { return words.empty() && longs.empty(); }
  void Clear();
};

// About what a message of this type takes once protobuf has parsed it, at most: its messages,
// texts, lists as they grow, and the fields that it does not know.
//
// INVALID_ARGUMENT: it is no such message.
absl::StatusOr<uint64_t> ParsedBytes(const google::protobuf::Descriptor* type,
                                     const grpc::ByteBuffer& message);

// Takes so much out of a share; little enough needs none.
//
// Errors: as ParsedBytes; RESOURCE_EXHAUSTED: there is not so much.
absl::Status TakeParsedBytes(const google::protobuf::Descriptor* type,
                             const grpc::ByteBuffer& message, MemoryShare* memory);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_REQUEST_BYTES_H_
