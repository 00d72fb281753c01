#include "router/edge/grpc_v1/prompt_numbers.h"

#include <algorithm>
#include <bit>
#include <string>
#include <vector>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "kvroute/v1/router.pb.h"

namespace kvroute {
namespace {

// A shorter list is left where it is.
constexpr uint64_t kWorthTakingBytes = 1'024;

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

constexpr uint64_t Tag(int field, WireType type) {
  return (static_cast<uint64_t>(field) << 3) | type;
}
constexpr uint64_t kPromptTag = Tag(v1::RouteRequest::kPromptFieldNumber, kBytes);
constexpr uint64_t kCandidateTag = Tag(v1::RouteRequest::kCandidatesFieldNumber, kBytes);
constexpr uint64_t kTokensTag = Tag(v1::Prompt::kTokenIdsFieldNumber, kBytes);
constexpr uint64_t kOneTokenTag = Tag(v1::Prompt::kTokenIdsFieldNumber, kFixed32);
constexpr uint64_t kHashListTag = Tag(v1::Prompt::kBlockHashesFieldNumber, kBytes);
constexpr uint64_t kMultimodalTag = Tag(v1::Prompt::kMultimodalFieldNumber, kBytes);
constexpr uint64_t kHashesTag = Tag(v1::BlockHashes::kHashesFieldNumber, kBytes);
constexpr uint64_t kOneHashTag = Tag(v1::BlockHashes::kHashesFieldNumber, kFixed64);
static_assert(int{v1::RouteRequest::kPromptFieldNumber} == v1::ScoreRequest::kPromptFieldNumber &&
              int{v1::RouteRequest::kCandidatesFieldNumber} ==
                  v1::ScoreRequest::kCandidatesFieldNumber);

void AppendVarint(uint64_t value, std::string* to) {
  for (; value >= 0x80; value >>= 7) to->push_back(static_cast<char>(value | 0x80));
  to->push_back(static_cast<char>(value));
}

// Where something stands in the message: [begin, end), its tag and length in front of it counted.
struct Stretch {
  uint64_t begin = 0;
  uint64_t content = 0;
  uint64_t end = 0;

  uint64_t size() const { return end - content; }
};

// A message inside the message, which gets shorter.
struct Nested : Stretch {
  static constexpr size_t kNowhere = SIZE_MAX;
  uint64_t tag = 0;
  size_t inside = kNowhere;  // which other one it is in
  uint64_t taken = 0;        // bytes of it that will be gone
};

enum class Kind : uint8_t { kWords, kLongs };
struct List : Stretch {
  Kind kind = Kind::kWords;
  size_t inside = 0;  // which Nested
};

// What there is, found in a first pass that allocates a few words for each list of a kilobyte.
class Plan {
 public:
  explicit Plan(RequestBytes* bytes) : bytes_(bytes) {}

  absl::Status Make() {
    if (!ReadFields(bytes_->size(), [this](uint64_t tag, const Stretch& field) {
          if (tag == kCandidateTag) ++candidates_;
          return tag != kPromptTag || ReadPrompt(field);
        })) {
      return absl::InvalidArgumentError("the request is not a message of this method");
    }
    KVROUTE_RETURN_IF_ERROR(Check("prompt.token_ids", "tokens", tokens_, limits::kMaxPromptTokens));
    KVROUTE_RETURN_IF_ERROR(
        Check("prompt.block_hashes.hashes", "blocks", hashes_, limits::kMaxPromptBlocks));
    KVROUTE_RETURN_IF_ERROR(
        Check("prompt.multimodal", "inputs", multimodal_, limits::kMaxMultimodalInputs));
    return Check("candidates", "are named", candidates_, limits::kMaxCandidates);
  }

  // In a second pass: moves what is to be taken into `numbers`, and all else into a message.
  grpc::ByteBuffer Carry(LongNumbers* numbers) {
    Decide();
    numbers->words.reserve(takes(Kind::kWords) ? tokens_ : 0);
    numbers->longs.reserve(takes(Kind::kLongs) ? hashes_ : 0);
    bytes_->Rewind();
    size_t nested = 0;
    for (const List& list : lists_) {
      if (!takes(list.kind)) continue;
      for (; nested < nested_.size() && nested_[nested].begin < list.begin; ++nested) {
        Shorten(nested_[nested]);
      }
      MoveTo(list.begin);
      MustSkip(list.content);
      if (list.kind == Kind::kWords) {
        Append(list.size(), &numbers->words);
      } else {
        Append(list.size(), &numbers->longs);
      }
    }
    for (; nested < nested_.size(); ++nested) Shorten(nested_[nested]);
    MoveTo(bytes_->size());
    return grpc::ByteBuffer(rest_.data(), rest_.size());
  }

 private:
  static absl::Status Check(std::string_view field, std::string_view what, uint64_t count,
                            uint64_t limit) {
    if (count <= limit) return absl::OkStatus();
    return InvalidArgument("{}: {} {}; the limit is {}", field, count, what, limit);
  }

  // Calls `each` with every field up to `end`, with the cursor at the content of those that have a
  // length; it must leave it at their end or where it was.
  template <typename Each>
  bool ReadFields(uint64_t end, const Each& each) {
    while (bytes_->at() < end) {
      Stretch field{.begin = bytes_->at()};
      uint64_t tag = 0, length = 0;
      if (!bytes_->ReadVarint(&tag)) return false;
      switch (tag & 7) {
        case kVarint:
          if (!bytes_->ReadVarint(&length)) return false;
          length = 0;
          break;
        case kFixed64:
          length = 8;
          break;
        case kFixed32:
          length = 4;
          break;
        case kBytes:
          if (!bytes_->ReadVarint(&length)) return false;
          break;
        default:  // groups, which no message of ours has
          return false;
      }
      field.content = bytes_->at();
      if (length > end - std::min(end, field.content)) return false;
      field.end = field.content + length;
      if (!each(tag, field)) return false;
      if (bytes_->at() < field.end && !bytes_->Skip(field.end - bytes_->at())) return false;
    }
    return bytes_->at() == end;
  }

  // Messages without a list are not noted: there may be millions.
  bool ReadPrompt(const Stretch& prompt) {
    size_t number = Nested::kNowhere;
    const auto noted = [&] { return Note(prompt, kPromptTag, Nested::kNowhere, &number); };
    return ReadFields(prompt.end, [&](uint64_t tag, const Stretch& field) {
      if (tag == kMultimodalTag) ++multimodal_;
      if (tag == kOneTokenTag) CountOne(Kind::kWords);
      if (tag == kTokensTag) return AddList(Kind::kWords, field, noted);
      return tag != kHashListTag || ReadHashes(field, noted);
    });
  }
  template <typename Noted>
  bool ReadHashes(const Stretch& list, const Noted& prompt) {
    size_t number = Nested::kNowhere;
    const auto noted = [&] { return Note(list, kHashListTag, prompt(), &number); };
    return ReadFields(list.end, [&](uint64_t tag, const Stretch& field) {
      if (tag == kOneHashTag) CountOne(Kind::kLongs);
      return tag != kHashesTag || AddList(Kind::kLongs, field, noted);
    });
  }
  size_t Note(const Stretch& message, uint64_t tag, size_t inside, size_t* number) {
    if (*number != Nested::kNowhere) return *number;
    nested_.push_back({message, tag, inside, 0});
    return *number = nested_.size() - 1;
  }

  uint64_t* CountOf(Kind kind) { return kind == Kind::kWords ? &tokens_ : &hashes_; }
  bool takes(Kind kind) const { return takes_[static_cast<size_t>(kind)]; }
  void CountOne(Kind kind) {
    ++*CountOf(kind);
    takes_[static_cast<size_t>(kind)] = false;  // one by one: not worth it
  }
  template <typename Noted>
  bool AddList(Kind kind, const Stretch& list, const Noted& inside) {
    const uint64_t width = kind == Kind::kWords ? sizeof(uint32_t) : sizeof(uint64_t);
    if (list.size() % width != 0) return false;
    *CountOf(kind) += list.size() / width;
    if (list.size() < kWorthTakingBytes) {
      takes_[static_cast<size_t>(kind)] = false;
    } else {
      lists_.push_back({list, kind, inside()});
    }
    return true;
  }

  // How much shorter the messages around the lists will be: by the lists, and where a length takes
  // fewer bytes itself, by those. What is inside another is noted behind it.
  void Decide() {
    for (const List& list : lists_) {
      if (takes(list.kind)) nested_[list.inside].taken += list.end - list.begin;
    }
    for (size_t i = nested_.size(); i-- > 0;) {
      const Nested& nested = nested_[i];
      if (nested.inside == Nested::kNowhere || nested.taken == 0) continue;
      const uint64_t head = nested.content - nested.begin - HeadOf(nested).size();
      nested_[nested.inside].taken += nested.taken + head;
    }
  }
  static std::string HeadOf(const Nested& nested) {
    std::string head;
    AppendVarint(nested.tag, &head);
    AppendVarint(nested.size() - nested.taken, &head);
    return head;
  }
  void Shorten(const Nested& nested) {
    if (nested.taken == 0) return;
    MoveTo(nested.begin);
    rest_.emplace_back(HeadOf(nested));
    MustSkip(nested.content);
  }
  void MoveTo(uint64_t to) { bytes_->MoveOut(to - bytes_->at(), &rest_); }
  void MustSkip(uint64_t to) { (void)bytes_->Skip(to - bytes_->at()); }

  // Memory that has not been written yet is none, so that a long list is never there twice.
  template <typename Number>
  void Append(uint64_t bytes, std::vector<Number>* numbers) {
    static_assert(std::endian::native == std::endian::little);
    constexpr uint64_t kAtOnce = 4'096;
    for (Number some[kAtOnce / sizeof(Number)]; bytes > 0;) {
      const uint64_t now = std::min(bytes, kAtOnce);
      bytes_->CopyOut(now, some);
      numbers->insert(numbers->end(), some, some + now / sizeof(Number));
      bytes -= now;
    }
  }

  RequestBytes* const bytes_;
  uint64_t tokens_ = 0, hashes_ = 0, multimodal_ = 0, candidates_ = 0;
  bool takes_[2] = {true, true};
  std::vector<Nested> nested_;  // by where they begin
  std::vector<List> lists_;     // likewise
  std::vector<grpc::Slice> rest_;
};

}  // namespace

absl::Status TakePromptNumbers(grpc::ByteBuffer* message, LongNumbers* numbers) {
  RequestBytes bytes(message);
  Plan plan(&bytes);
  KVROUTE_RETURN_IF_ERROR(plan.Make());
  *message = plan.Carry(numbers);
  return absl::OkStatus();
}

}  // namespace kvroute
