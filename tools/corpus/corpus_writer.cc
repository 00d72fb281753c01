#include "tools/corpus/corpus_writer.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"
#include "tools/corpus/corpus_format.h"

namespace kvroute {
namespace {

template <typename T>
void Put(std::FILE* file, const T& value) {
  std::fwrite(&value, sizeof(value), 1,
              file);  // failures show in ferror when the corpus is finished
}

template <typename Hash>
void PutHashes(std::FILE* file, absl::Span<const Hash> hashes) {
  std::fwrite(hashes.data(), sizeof(Hash), hashes.size(), file);
}

// Appends all of `from`; false when either file failed.
bool Append(std::FILE* from, std::FILE* to) {
  if (std::fflush(from) != 0 || std::ferror(from) != 0) return false;
  std::rewind(from);
  std::vector<char> chunk(1 << 20);
  while (const size_t size = std::fread(chunk.data(), 1, chunk.size(), from)) {
    if (std::fwrite(chunk.data(), 1, size, to) != size) return false;
  }
  return std::ferror(from) == 0;
}

void PutHeader(std::FILE* out, bool with_tiers, CorpusHeader header, CorpusTotals totals) {
  Put(out, corpus_format::kMagic);
  Put(out, with_tiers ? corpus_format::kVersionWithTiers : corpus_format::kVersion);
  Put(out, header.block_size_tokens);
  for (const uint64_t* field : corpus_format::HeaderFields(&header)) Put(out, *field);
  for (const uint64_t* field : corpus_format::TotalFields(&totals)) Put(out, *field);
  Put<uint64_t>(out, header.trace_path.size());
  std::fwrite(header.trace_path.data(), 1, header.trace_path.size(), out);
}

}  // namespace

CorpusWriter::CorpusWriter(std::string path, bool with_tiers, File queries, File stored,
                           File removed, File operations)
    : path_(std::move(path)),
      with_tiers_(with_tiers),
      queries_(std::move(queries)),
      stored_(std::move(stored)),
      removed_(std::move(removed)),
      operations_(std::move(operations)) {}

CorpusWriter::File CorpusWriter::Section(const std::string& path) {
  std::string name = absl::StrCat(path, ".XXXXXX");
  const int fd = mkstemp(name.data());
  if (fd < 0) return nullptr;
  unlink(name.c_str());
  return File(fdopen(fd, "w+b"));
}

absl::StatusOr<std::unique_ptr<CorpusWriter>> CorpusWriter::Create(const std::string& path,
                                                                   bool with_tiers) {
  File sections[4] = {Section(path), Section(path), Section(path), Section(path)};
  for (const File& section : sections) {
    if (section == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": cannot write beside it: ", std::strerror(errno)));
    }
  }
  return std::unique_ptr<CorpusWriter>(
      new CorpusWriter(path, with_tiers, std::move(sections[0]), std::move(sections[1]),
                       std::move(sections[2]), std::move(sections[3])));
}

void CorpusWriter::AddQuery(CorpusOperation op, absl::Span<const LocalHash> hashes) {
  op.kind = OperationKind::kQuery;
  op.start = totals_.request_blocks;
  op.length = static_cast<uint32_t>(hashes.size());
  PutHashes(queries_.get(), hashes);
  WriteOperation(op);
}

void CorpusWriter::AddStored(CorpusOperation op, absl::Span<const EngineHash> engine_hashes,
                             absl::Span<const LocalHash> local_hashes) {
  KVROUTE_CHECK(engine_hashes.size() == local_hashes.size());
  op.kind = OperationKind::kStored;
  op.start = totals_.stored_blocks;
  op.length = static_cast<uint32_t>(engine_hashes.size());
  for (size_t i = 0; i < engine_hashes.size(); ++i) {
    Put(stored_.get(), engine_hashes[i]);
    Put(stored_.get(), local_hashes[i]);
  }
  WriteOperation(op);
}

void CorpusWriter::AddRemoved(CorpusOperation op, absl::Span<const EngineHash> hashes) {
  op.kind = OperationKind::kRemoved;
  op.start = totals_.removed_blocks;
  op.length = static_cast<uint32_t>(hashes.size());
  PutHashes(removed_.get(), hashes);
  WriteOperation(op);
}

void CorpusWriter::AddCleared(CorpusOperation op) {
  op.kind = OperationKind::kCleared;
  WriteOperation(op);
}

void CorpusWriter::WriteOperation(const CorpusOperation& op) {
  std::FILE* out = operations_.get();
  Put(out, next_id_++);
  Put(out, op.deadline_ns);
  Put(out, op.worker_id);
  Put(out, op.kind);
  if (op.kind != OperationKind::kQuery) {
    Put(out, op.dp_rank);
    Put(out, op.event_id);
  }
  KVROUTE_CHECK(with_tiers_ || op.tier == Tier::kGpu);
  if (with_tiers_ && (op.kind == OperationKind::kStored || op.kind == OperationKind::kRemoved)) {
    Put(out, op.tier);
  }
  if (op.kind == OperationKind::kStored) {
    Put<uint8_t>(out, op.has_parent);
    Put(out, op.parent);
    Put<uint8_t>(out, op.has_start_position);
    Put(out, op.start_position);
  }
  if (op.kind != OperationKind::kCleared) {
    Put(out, op.start);
    Put(out, op.length);
  }
  corpus_format::AddToTotals(op, &totals_);
}

absl::Status CorpusWriter::Finish(const CorpusHeader& header) {
  const std::string unfinished = absl::StrCat(path_, ".part");
  File out(std::fopen(unfinished.c_str(), "wb"));
  bool ok = out != nullptr;
  if (ok) PutHeader(out.get(), with_tiers_, header, totals_);
  const std::pair<std::FILE*, uint64_t> sections[] = {{queries_.get(), totals_.request_blocks},
                                                      {stored_.get(), totals_.stored_blocks},
                                                      {removed_.get(), totals_.removed_blocks},
                                                      {operations_.get(), next_id_}};
  for (const auto& [section, count] : sections) {
    if (!ok) break;
    Put(out.get(), count);
    ok = Append(section, out.get());
  }
  ok = ok && std::ferror(out.get()) == 0;
  if (out != nullptr) ok = std::fclose(out.release()) == 0 && ok;
  if (ok && std::rename(unfinished.c_str(), path_.c_str()) == 0) return absl::OkStatus();
  const int error = errno;
  std::remove(unfinished.c_str());
  return absl::InternalError(absl::StrCat(path_, ": cannot write: ", std::strerror(error)));
}

}  // namespace kvroute
