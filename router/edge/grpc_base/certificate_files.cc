#include "router/edge/grpc_base/certificate_files.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <ctime>
#include <utility>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/log.h"
#include "indexer/base/read_file.h"

namespace kvroute {
namespace {

struct FreePem {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

std::unique_ptr<BIO, FreePem> Memory(const std::string& text) {
  return std::unique_ptr<BIO, FreePem>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::unique_ptr<X509, FreePem> ParseCertificate(const std::string& pem) {
  return std::unique_ptr<X509, FreePem>(
      PEM_read_bio_X509(Memory(pem).get(), nullptr, nullptr, nullptr));
}

std::unique_ptr<EVP_PKEY, FreePem> ParseKey(const std::string& pem) {
  // A key behind a passphrase must not make the server ask on its terminal.
  const auto no_passphrase = [](char*, int, int, void*) { return 0; };
  return std::unique_ptr<EVP_PKEY, FreePem>(
      PEM_read_bio_PrivateKey(Memory(pem).get(), nullptr, no_passphrase, nullptr));
}

absl::StatusOr<std::string> ReadPem(std::string_view fields, const char* field,
                                    const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path, limits::kMaxKeyFileBytes);
  if (!text.ok()) return InvalidArgument("{}.{}: {}", fields, field, MessageOf(text.status()));
  return text;
}

std::string WhatOpenSslSays() {
  const char* const reason = ERR_reason_error_string(ERR_get_error());
  ERR_clear_error();
  return reason == nullptr ? "refused" : reason;
}

// The rest of a chain, as gRPC takes it: up to what is no certificate.
bool AddChain(BIO* pem, SSL_CTX* context) {
  while (X509* const next = PEM_read_bio_X509(pem, nullptr, nullptr, nullptr)) {
    if (SSL_CTX_add_extra_chain_cert(context, next) == 1) continue;
    X509_free(next);
    return false;
  }
  ERR_clear_error();
  return true;
}

// gRPC makes its context for connections of them, and where that fails, for a key that is too short
// for instance, it keeps the one before without a word: so the same is tried here. What OpenSSL
// says against the certificate and its chain, or the key; empty: nothing.
std::string WrongWithCertificate(const std::string& pem, SSL_CTX* context) {
  const auto text = Memory(pem);
  const std::unique_ptr<X509, FreePem> first(
      PEM_read_bio_X509_AUX(text.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  const bool fits = first != nullptr && SSL_CTX_use_certificate(context, first.get()) == 1 &&
                    AddChain(text.get(), context);
  return fits ? "" : WhatOpenSslSays();
}
std::string WrongWithKey(EVP_PKEY* key, SSL_CTX* context) {
  ERR_clear_error();
  return SSL_CTX_use_PrivateKey(context, key) == 1 ? "" : WhatOpenSslSays();
}

int64_t ExpiryOf(const X509* certificate) {
  std::tm time{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) != 1) return 0;
  return static_cast<int64_t>(timegm(&time));
}

}  // namespace

absl::StatusOr<Certificates> ReadCertificates(std::string_view fields, const TlsFiles& files) {
  auto certificate = ReadPem(fields, "certificate_file", files.certificate_file);
  if (!certificate.ok()) return certificate.status();
  auto key = ReadPem(fields, "key_file", files.key_file);
  if (!key.ok()) return key.status();
  const auto x509 = ParseCertificate(*certificate);
  const auto pkey = ParseKey(*key);
  if (x509 == nullptr) {
    return InvalidArgument("{}.certificate_file: {}: no certificate in PEM", fields,
                           files.certificate_file);
  }
  if (pkey == nullptr) {
    return InvalidArgument("{}.key_file: {}: no unencrypted private key in PEM", fields,
                           files.key_file);
  }
  if (X509_check_private_key(x509.get(), pkey.get()) != 1) {
    return InvalidArgument("{}.key_file: {}: not the key of the certificate in {}", fields,
                           files.key_file, files.certificate_file);
  }
  const std::unique_ptr<SSL_CTX, FreePem> context(SSL_CTX_new(TLS_method()));
  if (const std::string why = WrongWithCertificate(*certificate, context.get()); !why.empty()) {
    return InvalidArgument("{}.certificate_file: {}: {}", fields, files.certificate_file, why);
  }
  if (const std::string why = WrongWithKey(pkey.get(), context.get()); !why.empty()) {
    return InvalidArgument("{}.key_file: {}: {}", fields, files.key_file, why);
  }
  Certificates read{*std::move(certificate), *std::move(key), "", ExpiryOf(x509.get())};
  if (files.client_ca_file.empty()) return read;
  auto ca = ReadPem(fields, "client_ca_file", files.client_ca_file);
  if (!ca.ok()) return ca.status();
  if (ParseCertificate(*ca) == nullptr) {
    return InvalidArgument("{}.client_ca_file: {}: no certificate in PEM", fields,
                           files.client_ca_file);
  }
  read.client_ca = *std::move(ca);
  return read;
}

CertificateFiles::CertificateFiles(std::string fields, TlsFiles files, Certificates current)
    : fields_(std::move(fields)), files_(std::move(files)), current_(std::move(current)) {}

absl::StatusOr<std::unique_ptr<CertificateFiles>> CertificateFiles::Open(std::string fields,
                                                                         const TlsFiles& files) {
  absl::StatusOr<Certificates> read = ReadCertificates(fields, files);
  if (!read.ok()) return read.status();
  return std::unique_ptr<CertificateFiles>(
      new CertificateFiles(std::move(fields), files, *std::move(read)));
}

void CertificateFiles::Follow(std::chrono::milliseconds interval) {
  thread_.emplace(
      "certificates", interval,
      [fields = fields_, files = files_] { return ReadCertificates(fields, files); },
      [this](const absl::StatusOr<Certificates>& read) { Take(read); });
}

void CertificateFiles::Look() { Take(ReadCertificates(fields_, files_)); }

void CertificateFiles::Take(const absl::StatusOr<Certificates>& read) {
  std::string why;
  bool has_changed = false;
  {
    MutexLock lock(&mutex_);
    if (read.ok()) {
      wrong_.clear();
      is_told_ = false;
      has_changed = *read != current_;
      if (has_changed) {
        current_ = *read;
        ++version_;
        ++stats_.applied;
      }
    } else if (std::string now(MessageOf(read.status())); now != wrong_) {
      wrong_ = std::move(now);  // the files may be in the middle of being replaced
      is_told_ = false;
    } else if (!std::exchange(is_told_, true)) {
      why = wrong_;
      ++stats_.refused;
    }
  }
  if (has_changed) LogInfo("{}: new certificates are in force", fields_);
  if (!why.empty()) LogError("{}; the certificates before stay in force", why);
}

CertificateFiles::Stats CertificateFiles::GetStats() const {
  MutexLock lock(&mutex_);
  Stats stats = stats_;
  stats.expires_unix_s = current_.expires_unix_s;
  return stats;
}

bool CertificateFiles::FetchAfter(uint64_t* version, Certificates* now) const {
  MutexLock lock(&mutex_);
  if (*version == version_) return false;
  *version = version_;
  *now = current_;
  return true;
}

void AddCertificateMetrics(std::string_view edge, const CertificateFiles* files, Exposition* out) {
  if (files == nullptr) return;
  const CertificateFiles::Stats stats = files->GetStats();
  const std::string name(edge);
  out->Add(Metric::kCertificateChanges, {name, "applied"}, static_cast<double>(stats.applied));
  out->Add(Metric::kCertificateChanges, {name, "refused"}, static_cast<double>(stats.refused));
  out->Add(Metric::kCertificateExpiry, {name}, static_cast<double>(stats.expires_unix_s));
}

}  // namespace kvroute
