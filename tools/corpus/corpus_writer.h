#ifndef KVROUTE_TOOLS_CORPUS_CORPUS_WRITER_H_
#define KVROUTE_TOOLS_CORPUS_CORPUS_WRITER_H_

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tools/corpus/corpus_file.h"

namespace kvroute {

// Writes a corpus without holding it in memory. The format puts the hashes before the operations
// and a count before each, so every section grows in a nameless temporary file beside the result
// and Finish joins them.
//
// Errors: a failed write (a full disk) shows in Finish, which then leaves no file behind.
class CorpusWriter {
 public:
  // `with_tiers`: version 2; else every operation must be about gpu.
  static absl::StatusOr<std::unique_ptr<CorpusWriter>> Create(const std::string& path,
                                                              bool with_tiers = false);

  // Operations in issue order. `op` gives what its kind needs except start and length.
  void AddQuery(CorpusOperation op, absl::Span<const LocalHash> hashes);
  void AddStored(CorpusOperation op, absl::Span<const EngineHash> engine_hashes,
                 absl::Span<const LocalHash> local_hashes);
  void AddRemoved(CorpusOperation op, absl::Span<const EngineHash> hashes);
  void AddCleared(CorpusOperation op);

  const CorpusTotals& totals() const { return totals_; }

  // Joins the sections under `path`, replacing what was there. Call once, last.
  absl::Status Finish(const CorpusHeader& header);

 private:
  struct FileCloser {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  using File = std::unique_ptr<std::FILE, FileCloser>;

  CorpusWriter(std::string path, bool with_tiers, File queries, File stored, File removed,
               File operations);
  static File Section(const std::string& path);
  void WriteOperation(const CorpusOperation& op);

  const std::string path_;
  const bool with_tiers_;
  const File queries_;
  const File stored_;
  const File removed_;
  const File operations_;
  CorpusTotals totals_;
  uint32_t next_id_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_CORPUS_CORPUS_WRITER_H_
