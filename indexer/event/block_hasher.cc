#include "indexer/event/block_hasher.h"

#include <openssl/evp.h>

#include "indexer/base/check.h"

namespace kvroute {
namespace {

constexpr std::string_view kSglangSaltPrefix("sglang-cache-salt-v1\0", 21);

// The major types of CBOR (RFC 8949) that vLLM's hash input uses.
enum class CborType : uint8_t {
  kUnsigned = 0 << 5,
  kBytes = 2 << 5,
  kText = 3 << 5,
  kArray = 4 << 5
};
constexpr char kCborNull = static_cast<char>(0xf6);

// The shortest form, as canonical CBOR demands. Every token of every block comes here.
void AppendCborHead(CborType type, uint32_t value, std::string* out) {
  const auto major = static_cast<uint8_t>(type);
  const auto byte = [value](int shift) { return static_cast<char>(value >> shift); };
  if (value < 24) {
    out->push_back(static_cast<char>(major | value));
  } else if (value <= 0xff) {
    const char head[] = {static_cast<char>(major | 24), byte(0)};
    out->append(head, sizeof(head));
  } else if (value <= 0xffff) {
    const char head[] = {static_cast<char>(major | 25), byte(8), byte(0)};
    out->append(head, sizeof(head));
  } else {
    const char head[] = {static_cast<char>(major | 26), byte(24), byte(16), byte(8), byte(0)};
    out->append(head, sizeof(head));
  }
}

void AppendCborText(std::string_view text, std::string* out) {
  AppendCborHead(CborType::kText, static_cast<uint32_t>(text.size()), out);
  out->append(text);
}

void AppendLittleEndian(TokenId token, std::string* out) {
  const char bytes[4] = {static_cast<char>(token), static_cast<char>(token >> 8),
                         static_cast<char>(token >> 16), static_cast<char>(token >> 24)};
  out->append(bytes, 4);
}

void AppendBytes(const Digest& digest, std::string* out) {
  out->append(reinterpret_cast<const char*>(digest.data()), digest.size());
}

uint64_t LoadBigEndian(const uint8_t* bytes) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | bytes[i];
  return value;
}

}  // namespace

// One digest context, used again for every block: creating one costs more than hashing a block.
class BlockHasher::Sha256 {
 public:
  Sha256() : algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
    KVROUTE_CHECK(algorithm_ != nullptr && context_ != nullptr);
  }
  ~Sha256() {
    EVP_MD_CTX_free(context_);
    EVP_MD_free(algorithm_);
  }
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  Digest Hash(std::string_view bytes) {
    Digest digest;
    KVROUTE_CHECK(EVP_DigestInit_ex2(context_, algorithm_, nullptr) == 1 &&
                  EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1 &&
                  EVP_DigestFinal_ex(context_, digest.data(), nullptr) == 1);
    return digest;
  }

 private:
  EVP_MD* algorithm_;
  EVP_MD_CTX* context_;
};

uint64_t VllmEventHash(const Digest& digest) {
  return LoadBigEndian(digest.data() + digest.size() - 8);
}

int64_t SglangEventHash(const Digest& digest) {
  return static_cast<int64_t>(LoadBigEndian(digest.data()));
}

BlockHasher::BlockHasher(HashScheme scheme, std::string_view seed)
    : scheme_(scheme), sha256_(std::make_unique<Sha256>()) {
  if (scheme_ == HashScheme::kVllmSha256Cbor) {
    AppendCborText(seed, &input_);
    root_ = sha256_->Hash(input_);
  }
}

BlockHasher::~BlockHasher() = default;
BlockHasher::BlockHasher(BlockHasher&&) noexcept = default;
BlockHasher& BlockHasher::operator=(BlockHasher&&) noexcept = default;

Digest BlockHasher::Hash(const Digest* parent, absl::Span<const TokenId> tokens,
                         const HashNamespace& names, absl::Span<const TokenId> ahead) {
  input_.clear();
  if (scheme_ == HashScheme::kVllmSha256Cbor) {
    AppendVllmInput(parent, tokens, names, ahead);
  } else {
    AppendSglangInput(parent, tokens, names, ahead);
  }
  return sha256_->Hash(input_);
}

void BlockHasher::AppendVllmInput(const Digest* parent, absl::Span<const TokenId> tokens,
                                  const HashNamespace& names, absl::Span<const TokenId> ahead) {
  AppendCborHead(CborType::kArray, 3, &input_);
  AppendCborHead(CborType::kBytes, sizeof(Digest), &input_);
  AppendBytes(parent != nullptr ? *parent : root_, &input_);

  AppendCborHead(CborType::kArray, static_cast<uint32_t>(tokens.size()), &input_);
  for (TokenId token : tokens) AppendCborHead(CborType::kUnsigned, token, &input_);

  if (!ahead.empty()) {
    AppendCborHead(CborType::kArray, static_cast<uint32_t>(1 + ahead.size()), &input_);
  }
  AppendVllmKeys(names, parent == nullptr);
  for (TokenId token : ahead) AppendCborHead(CborType::kUnsigned, token, &input_);
}

void BlockHasher::AppendVllmKeys(const HashNamespace& names, bool is_first) {
  const bool salted = is_first && !names.cache_salt.empty();
  const uint32_t keys = (names.lora_name.empty() ? 0 : 1) + (salted ? 1 : 0);
  if (keys == 0) {
    input_.push_back(kCborNull);
    return;
  }
  AppendCborHead(CborType::kArray, keys, &input_);
  if (!names.lora_name.empty()) AppendCborText(names.lora_name, &input_);
  if (salted) AppendCborText(names.cache_salt, &input_);
}

void BlockHasher::AppendSglangInput(const Digest* parent, absl::Span<const TokenId> tokens,
                                    const HashNamespace& names, absl::Span<const TokenId> ahead) {
  KVROUTE_CHECK(ahead.size() <= 1);
  if (parent != nullptr) {
    AppendBytes(*parent, &input_);
  } else if (!names.cache_salt.empty()) {
    input_.append(kSglangSaltPrefix);
    input_.append(names.cache_salt);
    const Digest salted_root = sha256_->Hash(input_);
    input_.clear();
    AppendBytes(salted_root, &input_);
  }
  for (size_t i = 0; i < tokens.size(); ++i) {
    AppendLittleEndian(tokens[i], &input_);
    if (ahead.empty()) continue;
    AppendLittleEndian(i + 1 < tokens.size() ? tokens[i + 1] : ahead[0], &input_);
  }
}

}  // namespace kvroute
