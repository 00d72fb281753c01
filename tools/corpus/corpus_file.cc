#include "tools/corpus/corpus_file.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tools/corpus/corpus_format.h"

namespace kvroute {
namespace {

static_assert(std::endian::native == std::endian::little, "the file is read as it lies in memory");

// A file read front to back that knows how much of it is left. The first failure sticks: later
// reads give zeros.
class FileReader {
 public:
  FileReader(std::FILE* file, uint64_t size) : file_(file), left_(size) {}

  template <typename T>
  T Number() {
    T value{};
    Bytes(&value, sizeof(value));
    return value;
  }

  // A count of items of `item_bytes`; fails when the rest of the file cannot hold them.
  uint64_t Count(uint64_t item_bytes) {
    const uint64_t count = Number<uint64_t>();
    if (count > left_ / item_bytes) ok_ = false;
    return ok_ ? count : 0;
  }

  void Bytes(void* out, size_t size) {
    if (!ok_ || size > left_ || std::fread(out, 1, size, file_) != size) {
      ok_ = false;
      return;
    }
    left_ -= size;
  }

  bool ok() const { return ok_; }
  uint64_t left() const { return left_; }

 private:
  std::FILE* file_;
  uint64_t left_;
  bool ok_ = true;
};

absl::Status Broken(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

template <typename Hash>
void ReadHashes(FileReader* in, std::vector<Hash>* hashes) {
  static_assert(sizeof(Hash) == sizeof(uint64_t));
  hashes->resize(in->Count(sizeof(uint64_t)));
  in->Bytes(hashes->data(), hashes->size() * sizeof(uint64_t));
}

void ReadStored(FileReader* in, Corpus* corpus) {
  constexpr size_t kChunkPairs = 1 << 16;
  const uint64_t count = in->Count(2 * sizeof(uint64_t));
  corpus->stored_engine_hashes.reserve(count);
  corpus->stored_local_hashes.reserve(count);
  std::vector<uint64_t> chunk;
  for (uint64_t done = 0; done < count && in->ok();) {
    const size_t pairs = std::min<uint64_t>(kChunkPairs, count - done);
    chunk.resize(2 * pairs);
    in->Bytes(chunk.data(), chunk.size() * sizeof(uint64_t));
    for (size_t i = 0; i < pairs; ++i) {
      corpus->stored_engine_hashes.emplace_back(chunk[2 * i]);
      corpus->stored_local_hashes.emplace_back(chunk[2 * i + 1]);
    }
    done += pairs;
  }
}

CorpusOperation ReadOperation(FileReader* in, bool with_tiers, uint32_t* id) {
  CorpusOperation op;
  *id = in->Number<uint32_t>();
  op.deadline_ns = in->Number<uint64_t>();
  op.worker_id = in->Number<uint64_t>();
  const auto kind = in->Number<uint8_t>();
  op.kind = OperationKind(kind);
  if (op.kind != OperationKind::kQuery) {
    op.dp_rank = in->Number<uint32_t>();
    op.event_id = in->Number<uint64_t>();
  }
  if (with_tiers && (op.kind == OperationKind::kStored || op.kind == OperationKind::kRemoved)) {
    op.tier = static_cast<Tier>(in->Number<uint8_t>());
  }
  if (op.kind == OperationKind::kStored) {
    op.has_parent = in->Number<uint8_t>() != 0;
    op.parent = EngineHash(in->Number<uint64_t>());
    op.has_start_position = in->Number<uint8_t>() != 0;
    op.start_position = in->Number<uint32_t>();
  }
  if (op.kind != OperationKind::kCleared) {
    op.start = in->Number<uint64_t>();
    op.length = in->Number<uint32_t>();
  }
  return op;
}

// The size of the hashes that `op` points into; nullopt for an unknown kind.
std::optional<uint64_t> Range(const Corpus& corpus, const CorpusOperation& op) {
  switch (op.kind) {
    case OperationKind::kQuery:
      return corpus.query_hashes.size();
    case OperationKind::kStored:
      return corpus.stored_engine_hashes.size();
    case OperationKind::kRemoved:
      return corpus.removed_hashes.size();
    case OperationKind::kCleared:
      return 0;
  }
  return std::nullopt;
}

absl::Status ReadOperations(FileReader* in, const std::string& path, bool with_tiers,
                            Corpus* corpus) {
  const uint64_t count = in->Count(corpus_format::kShortestOperationBytes);
  corpus->operations.reserve(count);
  CorpusTotals totals;
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t id = 0;
    const CorpusOperation op = ReadOperation(in, with_tiers, &id);
    const std::optional<uint64_t> range = Range(*corpus, op);
    if (!in->ok() || id != i || !range || op.start > *range || op.length > *range - op.start ||
        op.worker_id >= corpus->header.logical_workers || op.tier >= Tier::kUnknown) {
      return Broken(
          path, absl::StrCat("operation ", i, " is cut short, out of order, of an unknown kind or ",
                             "tier, or points outside the file's hashes or workers"));
    }
    corpus_format::AddToTotals(op, &totals);
    corpus->operations.push_back(op);
  }
  if (totals != corpus->totals) return Broken(path, "the totals are not those of the operations");
  return absl::OkStatus();
}

absl::Status ReadSections(FileReader* in, const std::string& path, Corpus* corpus) {
  char magic[sizeof(corpus_format::kMagic)] = {};
  in->Bytes(magic, sizeof(magic));
  if (!in->ok() || std::memcmp(magic, corpus_format::kMagic, sizeof(magic)) != 0) {
    return Broken(path, "not a corpus: it does not start with SMGMCK01");
  }
  const auto version = in->Number<uint32_t>();
  const bool with_tiers = version == corpus_format::kVersionWithTiers;
  if (version != corpus_format::kVersion && !with_tiers) {
    return Broken(
        path, absl::StrCat("corpus version ", version, ", this program reads versions 1 and 2"));
  }
  CorpusHeader& header = corpus->header;
  header.block_size_tokens = in->Number<uint32_t>();
  for (uint64_t* field : corpus_format::HeaderFields(&header)) *field = in->Number<uint64_t>();
  for (uint64_t* field : corpus_format::TotalFields(&corpus->totals))
    *field = in->Number<uint64_t>();
  header.trace_path.resize(in->Count(1));
  in->Bytes(header.trace_path.data(), header.trace_path.size());
  if (!in->ok()) return Broken(path, "the header is cut short");
  ReadHashes(in, &corpus->query_hashes);
  if (!in->ok()) return Broken(path, "the query hashes are cut short");
  ReadStored(in, corpus);
  if (!in->ok()) return Broken(path, "the stored hashes are cut short");
  ReadHashes(in, &corpus->removed_hashes);
  if (!in->ok()) return Broken(path, "the removed hashes are cut short");
  if (absl::Status status = ReadOperations(in, path, with_tiers, corpus); !status.ok())
    return status;
  if (!in->ok() || in->left() != 0) return Broken(path, "it does not end after its operations");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Corpus> Corpus::Read(const std::string& path) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  if (error) return absl::NotFoundError(absl::StrCat(path, ": ", error.message()));
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (file == nullptr) return absl::NotFoundError(absl::StrCat(path, ": ", std::strerror(errno)));
  FileReader in(file.get(), size);
  Corpus corpus;
  if (absl::Status status = ReadSections(&in, path, &corpus); !status.ok()) return status;
  return corpus;
}

}  // namespace kvroute
