#include <grpcpp/security/server_credentials.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "router/edge/grpc_base/credentials.h"

namespace kvroute {
namespace {

constexpr long kTenYearsSeconds = 10L * 365 * 86'400;
constexpr long kDaySeconds = 86'400;  // clocks of clients may be behind

struct FreeOpenSsl {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <typename T>
using OpenSslPtr = std::unique_ptr<T, FreeOpenSsl>;

template <typename Write>
std::string PemOf(Write write) {
  const OpenSslPtr<BIO> bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || write(bio.get()) != 1) return "";
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<size_t>(size)};
}

// False: OpenSSL has no memory, or no random numbers.
bool SignItself(X509* certificate, EVP_PKEY* key) {
  uint64_t serial = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial)) != 1) return false;
  X509_NAME* const name = X509_get_subject_name(certificate);
  const auto* const text = reinterpret_cast<const unsigned char*>("kvroute");
  return X509_set_version(certificate, 2) == 1 &&
         ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) == 1 &&
         X509_gmtime_adj(X509_getm_notBefore(certificate), -kDaySeconds) != nullptr &&
         X509_gmtime_adj(X509_getm_notAfter(certificate), kTenYearsSeconds) != nullptr &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0) == 1 &&
         X509_set_issuer_name(certificate, name) == 1 && X509_set_pubkey(certificate, key) == 1 &&
         X509_sign(certificate, key, EVP_sha256()) != 0;
}

}  // namespace

absl::StatusOr<SelfSigned> MakeSelfSigned() {
  char curve[] = "P-256";  // not const: EVP_EC_gen, the macro for this, casts that away
  const OpenSslPtr<EVP_PKEY> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve));
  const OpenSslPtr<X509> certificate(X509_new());
  if (key == nullptr || certificate == nullptr || !SignItself(certificate.get(), key.get())) {
    return absl::UnavailableError("OpenSSL makes no certificate");
  }
  const std::string key_pem = PemOf([&](BIO* bio) {
    return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  const std::string certificate_pem =
      PemOf([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()); });
  if (key_pem.empty() || certificate_pem.empty()) {
    return absl::UnavailableError("OpenSSL writes no certificate");
  }
  return SelfSigned{certificate_pem, key_pem};
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> SelfSignedCredentials() {
  const absl::StatusOr<SelfSigned> made = MakeSelfSigned();
  if (!made.ok()) return made.status();
  grpc::SslServerCredentialsOptions options(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  options.pem_key_cert_pairs.push_back({made->key, made->certificate});
  return grpc::SslServerCredentials(options);
}

}  // namespace kvroute
