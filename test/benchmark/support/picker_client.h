#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_PICKER_CLIENT_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_PICKER_CLIENT_H_

#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test/benchmark/support/picker_prompts.h"

namespace kvroute {

// What a proxy in full duplex tells of one HTTP request, made beforehand.
struct PickerMessages {
  grpc::ByteBuffer headers;
  std::vector<grpc::ByteBuffer> body;  // pieces
  size_t body_bytes = 0;
};
PickerMessages MessagesOf(const PickerShape& shape, size_t prompt);

// Asks a picker as a proxy does, over one connection: one stream for each HTTP request. What it
// costs is not measured, and so it checks that what is echoed is as long as what was sent, and
// ends.
//
// Thread safety: one thread. Errors: whatever fails ends the process.
class PickerClient {
 public:
  using Time = std::chrono::steady_clock::time_point;
  enum class What : uint8_t {
    kPicked,           // all of the request is answered
    kHeadersAnswered,  // of the response
    kPieceAnswered,
    kEnded,  // and forgotten
  };
  class Call {
   public:
    Time begun;                 // when Begin, Respond, SendPiece was called
    size_t number = 0;          // the caller's
    std::string endpoint = {};  // where the request is to go

   protected:
    ~Call() = default;
  };
  struct Happened {
    Call* call;
    What what;
  };

  explicit PickerClient(int port);
  ~PickerClient();

  // The messages of a short answer: its headers, and its only event.
  static std::vector<grpc::ByteBuffer> ShortResponse();

  Call* Begin(const PickerMessages& messages, size_t number);
  // The response: its headers, pieces of its body as an event each, and the end of the stream.
  void Respond(Call* call);
  void SendPiece(Call* call, bool last);
  void End(Call* call);
  // What happens next; nullopt: nothing before `until`.
  std::optional<Happened> Next(Time until);

 private:
  class Stream;

  std::unique_ptr<grpc::GenericStub> stub_;
  grpc::CompletionQueue queue_;
  grpc::ByteBuffer response_headers_, piece_, last_piece_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<Stream*> idle_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_PICKER_CLIENT_H_
