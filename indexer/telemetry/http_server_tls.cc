#include "indexer/telemetry/http_server_tls.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include <array>
#include <utility>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

// More of a certificate than that are not looked at.
constexpr unsigned kMaxNames = 256;
constexpr size_t kMaxNameBytes = 2'048;

gnutls_datum_t Datum(const std::string& text) {
  // It is only read.
  auto* const bytes = reinterpret_cast<unsigned char*>(const_cast<char*>(text.data()));
  return {bytes, static_cast<unsigned>(text.size())};
}

absl::StatusOr<std::shared_ptr<gnutls_certificate_credentials_st>> Make(
    const HttpServerCertificates& certificates) {
  gnutls_certificate_credentials_t made = nullptr;
  if (gnutls_certificate_allocate_credentials(&made) != GNUTLS_E_SUCCESS) {
    return absl::ResourceExhaustedError("GnuTLS gives no memory");
  }
  std::shared_ptr<gnutls_certificate_credentials_st> credentials(
      made, &gnutls_certificate_free_credentials);
  const gnutls_datum_t certificate = Datum(certificates.certificate);
  const gnutls_datum_t key = Datum(certificates.key);
  const int paired =
      gnutls_certificate_set_x509_key_mem(made, &certificate, &key, GNUTLS_X509_FMT_PEM);
  if (paired < 0) return InvalidArgument("certificate_file: {}", gnutls_strerror(paired));
  if (certificates.client_ca.empty()) return credentials;
  const gnutls_datum_t ca = Datum(certificates.client_ca);
  const int trusted = gnutls_certificate_set_x509_trust_mem(made, &ca, GNUTLS_X509_FMT_PEM);
  if (trusted < 0) return InvalidArgument("client_ca_file: {}", gnutls_strerror(trusted));
  if (trusted > 0) return credentials;
  return absl::InvalidArgumentError("client_ca_file: no certificate in PEM");
}

// Of a client that has shown a certificate: whether the CA has signed it, and for a client's use.
// Whether one is needed at all GnuTLS knows itself.
int VerifyClient(gnutls_session_t session) {
  unsigned count = 0;
  if (gnutls_certificate_get_peers(session, &count) == nullptr || count == 0) return 0;
  unsigned char purpose[] = GNUTLS_KP_TLS_WWW_CLIENT;
  gnutls_typed_vdata_st data{GNUTLS_DT_KEY_PURPOSE_OID, purpose, 0};
  unsigned wrong = 0;
  const int verified = gnutls_certificate_verify_peers(session, &data, 1, &wrong);
  return verified == GNUTLS_E_SUCCESS && wrong == 0 ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

std::vector<std::string> NamesIn(const gnutls_datum_t& der) {
  std::vector<std::string> names;
  gnutls_x509_crt_t certificate = nullptr;
  if (gnutls_x509_crt_init(&certificate) != GNUTLS_E_SUCCESS) return names;
  const std::unique_ptr<gnutls_x509_crt_int, decltype(&gnutls_x509_crt_deinit)> owner(
      certificate, &gnutls_x509_crt_deinit);
  if (gnutls_x509_crt_import(certificate, &der, GNUTLS_X509_FMT_DER) < 0) return names;
  std::array<char, kMaxNameBytes> text{};
  for (unsigned i = 0; i < kMaxNames; ++i) {
    size_t size = text.size();
    const int kind =
        gnutls_x509_crt_get_subject_alt_name(certificate, i, text.data(), &size, nullptr);
    if (kind == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) break;
    if (kind == GNUTLS_SAN_DNSNAME || kind == GNUTLS_SAN_URI) names.emplace_back(text.data(), size);
  }
  return names;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServerTls>> HttpServerTls::Start(
    const HttpServerTlsOptions& options) {
  std::unique_ptr<HttpServerTls> tls(new HttpServerTls(options));
  KVROUTE_RETURN_IF_ERROR(tls->Fetch());
  return tls;
}

absl::Status HttpServerTls::Fetch() {
  HttpServerCertificates now;
  if (!options_.fetch(&version_, &now)) return absl::OkStatus();
  auto credentials = Make(now);
  if (!credentials.ok()) return credentials.status();
  credentials_ = *std::move(credentials);
  current_ = std::move(now);
  return absl::OkStatus();
}

void HttpServerTls::Began(const void* owner, gnutls_session_t session) {
  if (const absl::Status status = Fetch(); !status.ok()) {
    LogError("http: {}; the certificates before stay in force", MessageOf(status));
  }
  gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials_.get());
  if (!current_.client_ca.empty()) {
    gnutls_certificate_server_set_request(
        session, options_.client_certificate_required ? GNUTLS_CERT_REQUIRE : GNUTLS_CERT_REQUEST);
    gnutls_session_set_verify_function(session, &VerifyClient);
  }
  connections_.insert_or_assign(owner, Connection{session, credentials_});
}

std::vector<std::string_view> HttpServerTls::NamesOf(const void* owner) {
  const auto found = connections_.find(owner);
  if (found == connections_.end()) return {};
  Connection& connection = found->second;
  if (!std::exchange(connection.read, true)) {
    unsigned count = 0;
    const gnutls_datum_t* const chain = gnutls_certificate_get_peers(connection.session, &count);
    if (chain != nullptr && count > 0) connection.names = NamesIn(chain[0]);
  }
  return {connection.names.begin(), connection.names.end()};
}

}  // namespace kvroute
