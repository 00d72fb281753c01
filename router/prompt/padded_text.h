#ifndef KVROUTE_ROUTER_PROMPT_PADDED_TEXT_H_
#define KVROUTE_ROUTER_PROMPT_PADDED_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace kvroute {

// The bytes of a body in one piece, with so many readable bytes behind them as the JSON parser
// needs: it reads whole vectors. Put together from the pieces in which a body arrives; memory is
// kept by Clear, up to kKeptBytes, so that a reused one allocates nothing.
class PaddedText {
 public:
  static constexpr size_t kPaddingBytes = 64;
  static constexpr size_t kKeptBytes = size_t{1} << 20;

  PaddedText() = default;
  explicit PaddedText(std::string_view text) { Append(text); }

  void Append(std::string_view piece) {
    bytes_.resize(size_);  // the padding gives way
    bytes_.append(piece);
    size_ = bytes_.size();
    bytes_.append(kPaddingBytes, '\0');
  }
  void Clear() {
    size_ = 0;
    if (bytes_.capacity() > kKeptBytes) std::string().swap(bytes_);
    bytes_.assign(kPaddingBytes, '\0');
  }
  // Makes room for a body whose length is known.
  void Reserve(size_t bytes) { bytes_.reserve(bytes + kPaddingBytes); }

  std::string_view view() const { return {bytes_.data(), size_}; }
  size_t size() const { return size_; }
  size_t capacity() const { return bytes_.capacity(); }

 private:
  std::string bytes_ = std::string(kPaddingBytes, '\0');
  size_t size_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_PADDED_TEXT_H_
