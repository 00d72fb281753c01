#ifndef KVROUTE_INDEXER_TELEMETRY_HTTP_SERVER_TLS_H_
#define KVROUTE_INDEXER_TELEMETRY_HTTP_SERVER_TLS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "indexer/base/log.h"

struct gnutls_session_int;
struct gnutls_certificate_credentials_st;

namespace kvroute {

// In PEM. Without client_ca no client is asked for a certificate.
struct HttpServerCertificates {
  std::string certificate;
  std::string key;
  std::string client_ca;
};

struct HttpServerTlsOptions {
  // What is to be shown now; false: it is still that of `version`. Asked for every connection, on
  // the thread that has them. Empty: plain text.
  std::function<bool(uint64_t* version, HttpServerCertificates* now)> fetch;
  // With a client CA: a client without a certificate is not served. One with a certificate that
  // the CA has not signed never is.
  bool client_certificate_required = true;
};

// TLS 1.2 and 1.3 of a listener whose certificates may be replaced while it serves: each connection
// keeps what it was made with, as gRPC's do.
//
// Thread safety: one thread at a time. Ownership: outlives the library's daemon.
class HttpServerTls {
 public:
  // INVALID_ARGUMENT: what is fetched is no certificate with its key.
  static absl::StatusOr<std::unique_ptr<HttpServerTls>> Start(const HttpServerTlsOptions& options);

  // What the library wants to begin with.
  const HttpServerCertificates& first() const { return current_; }

  // A connection, known by `owner` from now on, before its handshake. One whose certificates cannot
  // be used, which OpenSSL found good, keeps those before.
  void Began(const void* owner, gnutls_session_int* session);
  void Ended(const void* owner) { connections_.erase(owner); }
  // DNS names and URIs of the certificate that was shown, which the handshake has verified. Good
  // until Ended.
  std::vector<std::string_view> NamesOf(const void* owner);

 private:
  using Credentials = std::shared_ptr<gnutls_certificate_credentials_st>;
  struct Connection {
    gnutls_session_int* session;
    Credentials credentials;  // which the session does not own
    bool read = false;        // names are
    std::vector<std::string> names = {};
  };

  explicit HttpServerTls(const HttpServerTlsOptions& options) : options_(options) {}
  absl::Status Fetch();

  const HttpServerTlsOptions options_;
  uint64_t version_ = 0;
  HttpServerCertificates current_;
  Credentials credentials_;  // of current_
  absl::flat_hash_map<const void*, Connection> connections_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_TELEMETRY_HTTP_SERVER_TLS_H_
