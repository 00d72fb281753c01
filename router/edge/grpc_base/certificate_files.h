#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_CERTIFICATE_FILES_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_CERTIFICATE_FILES_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "indexer/base/mutex.h"
#include "indexer/base/reading_thread.h"
#include "indexer/telemetry/exposition.h"
#include "router/edge/grpc_base/credentials.h"

namespace kvroute {

// The files' content, of one moment.
struct Certificates {
  std::string certificate;
  std::string key;
  std::string client_ca;       // empty: clients need none
  int64_t expires_unix_s = 0;  // the certificate

  bool operator==(const Certificates&) const = default;
};

// Reads and checks them. INVALID_ARGUMENT names the field (of the group `fields`, as "grpc.tls")
// and the file that cannot be read, is no PEM certificate or key, or does not belong to the other.
absl::StatusOr<Certificates> ReadCertificates(std::string_view fields, const TlsFiles& files);

// The certificates of one server, as they are in their files now. Who renews a certificate replaces
// the files; connections that are made afterwards see the new one, those that stand go on, and none
// fails: what cannot be used, as a new certificate beside the old key while the files are being
// replaced, changes nothing. docs/decisions/0044 tells why gRPC is asked this way.
//
// Thread safety: every method from any thread; gRPC asks on its own. Ownership: must outlive every
// server that uses its credentials.
class CertificateFiles {
 public:
  // Errors: those of ReadCertificates.
  static absl::StatusOr<std::unique_ptr<CertificateFiles>> Open(std::string fields,
                                                                const TlsFiles& files);
  CertificateFiles(const CertificateFiles&) = delete;
  CertificateFiles& operator=(const CertificateFiles&) = delete;

  // For one listener.
  std::shared_ptr<grpc::ServerCredentials> Credentials();
  // From now on a thread of its own looks so often: files may be where reading takes long, or never
  // comes to an end. Once.
  void Follow(std::chrono::milliseconds interval);
  // Looks whether the files have changed. Of what is wrong twice in a row a log line tells, once.
  void Look();

  // One listener's: what gRPC has of the files.
  struct Fetched {
    const CertificateFiles* files = nullptr;
    Mutex mutex;
    uint64_t version ABSL_GUARDED_BY(mutex) = 0;
  };

  struct Stats {
    uint64_t applied = 0;  // changes that are in force
    uint64_t refused = 0;  // changes that cannot be used
    int64_t expires_unix_s = 0;
  };
  Stats GetStats() const;

  // What is shown now; false: it is still that of `version`, which says how often it has changed.
  bool FetchAfter(uint64_t* version, Certificates* now) const;
  bool wants_client_certificates() const { return !files_.client_ca_file.empty(); }

 private:
  CertificateFiles(std::string fields, TlsFiles files, Certificates current);
  void Take(const absl::StatusOr<Certificates>& read);

  const std::string fields_;
  const TlsFiles files_;
  mutable Mutex mutex_;
  std::deque<Fetched> fetched_ ABSL_GUARDED_BY(mutex_);
  Certificates current_ ABSL_GUARDED_BY(mutex_);
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 1;
  Stats stats_ ABSL_GUARDED_BY(mutex_);
  std::string wrong_ ABSL_GUARDED_BY(mutex_);  // what was wrong at the last look
  bool is_told_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<ReadingThread<absl::StatusOr<Certificates>>> thread_;  // last: it uses the others
};

// Of the edge by that name; nothing for nullptr: it has none.
void AddCertificateMetrics(std::string_view edge, const CertificateFiles* files, Exposition* out);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_CERTIFICATE_FILES_H_
