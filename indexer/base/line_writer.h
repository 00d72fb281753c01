#ifndef KVROUTE_INDEXER_BASE_LINE_WRITER_H_
#define KVROUTE_INDEXER_BASE_LINE_WRITER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace kvroute {

// Writes lines to a descriptor on a thread of its own, so that nobody who logs waits for whoever
// reads: a pipe may be full for ever. What waits is bounded; a line beyond it, or one that cannot
// be written (the reader is gone, the disk full), is dropped and counted, and the next line that is
// taken says how many were.
//
// Thread safety: every method from any thread. Ownership: the descriptor must stay open; a write
// that hangs when the writer goes is left to itself.
class LineWriter {
 public:
  static constexpr size_t kMaxWaitingBytes = size_t{1} << 20;
  // How long an end waits for whoever reads.
  static constexpr std::chrono::milliseconds kPatience{1'000};

  explicit LineWriter(int fd);
  ~LineWriter();  // writes what waits, for kPatience at most
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // `line` with its end of line.
  void Write(std::string_view line);
  // Until all that was taken is written; false when it is not in time.
  bool Flush(std::chrono::milliseconds patience);
  uint64_t dropped() const;

 private:
  struct Shared;  // with the thread, which may outlive the writer
  static void Run(const std::shared_ptr<Shared>& shared);

  const std::shared_ptr<Shared> shared_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_LINE_WRITER_H_
