#ifndef KVROUTE_ROUTER_EDGE_EXT_PROC_BODY_TEXT_H_
#define KVROUTE_ROUTER_EDGE_EXT_PROC_BODY_TEXT_H_

#include <string_view>

#include "absl/types/span.h"
#include "router/edge/ext_proc/request_headers.h"
#include "router/prompt/padded_text.h"
#include "router/prompt/request_body.h"

namespace kvroute {

// A body that came in pieces, put together and read; and the next one, in the same memory.
//
// Thread safety: one thread at a time. Errors: none, see RequestBody.
class BodyText {
 public:
  void Read(const RequestHeaders& headers, absl::Span<const std::string_view> pieces) {
    size_t bytes = 0;
    for (const std::string_view piece : pieces) bytes += piece.size();
    text_.Clear();
    text_.Reserve(bytes);
    for (const std::string_view piece : pieces) text_.Append(piece);
    reader_.Read({.path = headers.path_or_default(), .content_encoding = headers.content_encoding},
                 text_, &body_);
  }

  // Of what was read last; they view the text.
  const PaddedText& text() const { return text_; }
  const RequestBody& body() const { return body_; }

 private:
  RequestBodyReader reader_;
  PaddedText text_;
  RequestBody body_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_EXT_PROC_BODY_TEXT_H_
