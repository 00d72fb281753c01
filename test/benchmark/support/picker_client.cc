#include "test/benchmark/support/picker_client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <deque>

#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"
#include "kvroute/envoy/external_processor.pb.h"
#include "router/edge/ext_proc/wire_cursor.h"

namespace kvroute {
namespace {

using envoy::service::ext_proc::v3::ProcessingRequest;
using envoy::service::ext_proc::v3::ProcessingResponse;

constexpr char kMethod[] = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";
constexpr size_t kPieceBytes = 65'536;  // of a body, as a proxy reads it from its client
// One event of a streamed answer.
constexpr char kEvent[] =
    R"(data: {"id":"chatcmpl-0123456789abcdef","object":"chat.completion.chunk","created":1700000000,)"
    R"("model":"m","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]})"
    "\n\n";

grpc::ByteBuffer BytesOf(const ProcessingRequest& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

ProcessingRequest PieceOf(std::string_view text, bool last, bool of_response) {
  ProcessingRequest message;
  auto* body = of_response ? message.mutable_response_body() : message.mutable_request_body();
  body->set_body(std::string(text));
  body->set_end_of_stream(last);
  return message;
}

// Fields one inside the other: the last one's bytes.
std::string_view Inside(std::string_view bytes, std::initializer_list<uint32_t> path) {
  for (const uint32_t field : path) {
    std::string_view found;
    WireCursor fields(bytes);
    while (fields.Next()) {
      if (fields.field() == field) found = fields.bytes();
    }
    bytes = found;
  }
  return bytes;
}

}  // namespace

PickerMessages MessagesOf(const PickerShape& shape, size_t prompt) {
  PickerMessages messages;
  const std::string body = PickerBody(shape, prompt);
  ProcessingRequest first;
  using Mode = envoy::extensions::filters::http::ext_proc::v3::ProcessingMode;
  first.mutable_protocol_config()->set_request_body_mode(Mode::FULL_DUPLEX_STREAMED);
  first.mutable_protocol_config()->set_response_body_mode(Mode::FULL_DUPLEX_STREAMED);
  const std::pair<const char*, std::string> headers[] = {
      {":authority", "gateway.example"},
      {":path", PickerPath(shape.form)},
      {":method", "POST"},
      {":scheme", "http"},
      {"content-type", "application/json"},
      {"user-agent", "OpenAI/Python 1.55.0"},
      {"authorization", "Bearer sk-0123456789abcdef0123456789abcdef"},
      {"content-length", std::to_string(body.size())},
      {"x-forwarded-proto", "http"},
      {"x-request-id", "2b1e2ee3-6a3c-4a83-9a0f-6d3a9a3a4f51"}};
  for (const auto& [name, value] : headers) {
    auto* header = first.mutable_request_headers()->mutable_headers()->add_headers();
    header->set_key(name);
    header->set_raw_value(value);
  }
  messages.headers = BytesOf(first);
  messages.body_bytes = body.size();
  for (size_t at = 0; at < body.size(); at += kPieceBytes) {
    const std::string_view piece = std::string_view(body).substr(at, kPieceBytes);
    messages.body.push_back(BytesOf(PieceOf(piece, at + piece.size() == body.size(), false)));
  }
  return messages;
}

// One stream: at most one message on its way to the picker, and always one awaited from it.
class PickerClient::Stream final : public PickerClient::Call {
 public:
  Stream(grpc::GenericStub* stub, grpc::CompletionQueue* queue) : stub_(stub), queue_(queue) {}

  void Begin(const PickerMessages* messages) {
    messages_ = messages;
    echoed_ = 0;
    endpoint.clear();
    stream_.reset();  // it lies in its context's memory
    context_.emplace();
    stream_ = stub_->PrepareCall(&*context_, kMethod, queue_);
    stream_->StartCall(&start_);
    events_ = 1;
  }
  void Send(const grpc::ByteBuffer& bytes) {
    waiting_.push_back(&bytes);
    Write();
  }
  void End() {
    ending_ = true;
    Write();
  }
  void Cancel() { context_->TryCancel(); }

  std::optional<What> Proceed(const void* tag, bool ok) {
    --events_;
    if (tag == &start_) {
      KVROUTE_CHECK(ok);
      waiting_.assign({&messages_->headers});
      for (const grpc::ByteBuffer& piece : messages_->body) waiting_.push_back(&piece);
      Write();
      Read();
    } else if (tag == &write_) {
      KVROUTE_CHECK(ok);
      writing_ = false;
      Write();
    } else if (tag == &read_) {
      if (ok) return Take();
      KVROUTE_CHECK(ending_);
      ++events_;
      stream_->Finish(&status_, &finish_);
    } else {
      KVROUTE_CHECK(status_.ok());
      finished_ = true;
    }
    if (!finished_ || events_ != 0) return std::nullopt;
    ending_ = ended_ = finished_ = false;
    return What::kEnded;
  }

  // Tells from a tag whose it is.
  struct Tag {
    Stream* stream;
  };

 private:
  void Read() {
    ++events_;
    stream_->Read(&in_, &read_);
  }
  // The next of what waits, or the end; one at a time.
  void Write() {
    if (writing_) return;
    if (!waiting_.empty()) {
      stream_->Write(*waiting_.front(), &write_);
      waiting_.pop_front();
    } else if (ending_ && !ended_) {
      stream_->WritesDone(&write_);
      ended_ = true;
    } else {
      return;
    }
    writing_ = true;
    ++events_;
  }

  std::optional<What> Take() {
    grpc::Slice slice;
    KVROUTE_CHECK(in_.TrySingleSlice(&slice).ok() || in_.DumpToSingleSlice(&slice).ok());
    const std::string_view bytes(reinterpret_cast<const char*>(slice.begin()), slice.size());
    WireCursor fields(bytes);
    KVROUTE_CHECK(fields.Next());
    const std::optional<What> what = Judge(fields.field(), fields.bytes(), bytes);
    in_.Clear();
    Read();
    return what;
  }

  std::optional<What> Judge(uint32_t field, std::string_view answer, std::string_view all) {
    switch (field) {
      case ProcessingResponse::kRequestHeadersFieldNumber: {
        // dynamic_metadata["envoy.lb"][...]
        endpoint = Inside(all, {8, 1, 2, 5, 1, 2, 3});
        KVROUTE_CHECK(!endpoint.empty());
        return std::nullopt;
      }
      case ProcessingResponse::kRequestBodyFieldNumber: {
        bool end = false;
        WireCursor echo(Inside(answer, {1, 3, 3}));
        while (echo.Next()) {
          if (echo.field() == 1) echoed_ += echo.bytes().size();
          if (echo.field() == 2) end = echo.flag();
        }
        if (!end) return std::nullopt;
        KVROUTE_CHECK(echoed_ == messages_->body_bytes && !endpoint.empty());
        return What::kPicked;
      }
      case ProcessingResponse::kResponseHeadersFieldNumber:
        return What::kHeadersAnswered;
      case ProcessingResponse::kResponseBodyFieldNumber:
        return What::kPieceAnswered;
      default:
        KVROUTE_CHECK(false);
        return std::nullopt;
    }
  }

  grpc::GenericStub* const stub_;
  grpc::CompletionQueue* const queue_;
  const PickerMessages* messages_ = nullptr;
  std::optional<grpc::ClientContext> context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  grpc::ByteBuffer in_;
  grpc::Status status_;
  std::deque<const grpc::ByteBuffer*> waiting_;
  size_t echoed_ = 0;
  int events_ = 0;
  bool writing_ = false;
  bool ending_ = false;
  bool ended_ = false;  // which is said
  bool finished_ = false;
  Tag start_{this}, write_{this}, read_{this}, finish_{this};
};

PickerClient::PickerClient(int port) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
  stub_ = std::make_unique<grpc::GenericStub>(grpc::CreateCustomChannel(
      absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials(), arguments));
  response_headers_ = ShortResponse()[0];
  last_piece_ = ShortResponse()[1];
  piece_ = BytesOf(PieceOf(kEvent, false, true));
}

std::vector<grpc::ByteBuffer> PickerClient::ShortResponse() {
  ProcessingRequest headers;
  auto* status = headers.mutable_response_headers()->mutable_headers()->add_headers();
  status->set_key(":status");
  status->set_raw_value("200");
  return {BytesOf(headers), BytesOf(PieceOf("data: [DONE]\n\n", true, true))};
}

// What is open is cut off.
PickerClient::~PickerClient() {
  for (const auto& stream : streams_) stream->Cancel();
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
  }
}

PickerClient::Call* PickerClient::Begin(const PickerMessages& messages, size_t number) {
  if (idle_.empty()) {
    streams_.push_back(std::make_unique<Stream>(stub_.get(), &queue_));
    idle_.push_back(streams_.back().get());
  }
  Stream* const stream = idle_.back();
  idle_.pop_back();
  stream->begun = std::chrono::steady_clock::now();
  stream->number = number;
  stream->Begin(&messages);
  return stream;
}

void PickerClient::Respond(Call* call) {
  call->begun = std::chrono::steady_clock::now();
  static_cast<Stream*>(call)->Send(response_headers_);
}
void PickerClient::SendPiece(Call* call, bool last) {
  call->begun = std::chrono::steady_clock::now();
  static_cast<Stream*>(call)->Send(last ? last_piece_ : piece_);
}
void PickerClient::End(Call* call) { static_cast<Stream*>(call)->End(); }

std::optional<PickerClient::Happened> PickerClient::Next(Time until) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(
        until - std::chrono::steady_clock::now());
    const gpr_timespec deadline =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(left.count(), GPR_TIMESPAN));
    void* tag = nullptr;
    bool ok = false;
    if (queue_.AsyncNext(&tag, &ok, deadline) != grpc::CompletionQueue::GOT_EVENT) {
      return std::nullopt;
    }
    Stream* const stream = static_cast<Stream::Tag*>(tag)->stream;
    const std::optional<What> what = stream->Proceed(tag, ok);
    if (!what) continue;
    if (*what == What::kEnded) idle_.push_back(stream);
    return Happened{stream, *what};
  }
}

}  // namespace kvroute
