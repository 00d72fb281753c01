#include "router/edge/grpc_v1/credentials.h"

#include <grpcpp/security/server_credentials.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/read_file.h"

namespace kvroute {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

std::unique_ptr<BIO, Free> Memory(const std::string& text) {
  return std::unique_ptr<BIO, Free>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::unique_ptr<X509, Free> ParseCertificate(const std::string& pem) {
  return std::unique_ptr<X509, Free>(
      PEM_read_bio_X509(Memory(pem).get(), nullptr, nullptr, nullptr));
}

std::unique_ptr<EVP_PKEY, Free> ParseKey(const std::string& pem) {
  // A key behind a passphrase must not make the server ask on its terminal.
  const auto no_passphrase = [](char*, int, int, void*) { return 0; };
  return std::unique_ptr<EVP_PKEY, Free>(
      PEM_read_bio_PrivateKey(Memory(pem).get(), nullptr, no_passphrase, nullptr));
}

absl::StatusOr<std::string> ReadPem(const char* field, const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path, limits::kMaxKeyFileBytes);
  if (!text.ok()) return InvalidArgument("grpc.tls.{}: {}", field, MessageOf(text.status()));
  return text;
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentialsFrom(
    const TlsFiles& files) {
  if (files.certificate_file.empty()) return nullptr;
  const auto certificate = ReadPem("certificate_file", files.certificate_file);
  if (!certificate.ok()) return certificate.status();
  const auto key = ReadPem("key_file", files.key_file);
  if (!key.ok()) return key.status();
  const auto x509 = ParseCertificate(*certificate);
  const auto pkey = ParseKey(*key);
  if (x509 == nullptr) {
    return InvalidArgument("grpc.tls.certificate_file: {}: no certificate in PEM",
                           files.certificate_file);
  }
  if (pkey == nullptr) {
    return InvalidArgument("grpc.tls.key_file: {}: no unencrypted private key in PEM",
                           files.key_file);
  }
  if (X509_check_private_key(x509.get(), pkey.get()) != 1) {
    return InvalidArgument("grpc.tls.key_file: {}: not the key of the certificate in {}",
                           files.key_file, files.certificate_file);
  }
  grpc::SslServerCredentialsOptions options(
      files.client_ca_file.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                                   : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  if (!files.client_ca_file.empty()) {
    const auto ca = ReadPem("client_ca_file", files.client_ca_file);
    if (!ca.ok()) return ca.status();
    if (ParseCertificate(*ca) == nullptr) {
      return InvalidArgument("grpc.tls.client_ca_file: {}: no certificate in PEM",
                             files.client_ca_file);
    }
    options.pem_root_certs = *ca;
  }
  options.pem_key_cert_pairs.push_back({*key, *certificate});
  return grpc::SslServerCredentials(options);
}

}  // namespace kvroute
