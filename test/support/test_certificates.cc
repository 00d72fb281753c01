#include "test/support/test_certificates.h"

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "indexer/base/check.h"

namespace kvroute::testing_support {
namespace {

constexpr long kHourSeconds = 3'600;

std::shared_ptr<EVP_PKEY> NewKey() {
  char curve[] = "P-256";  // not const: EVP_EC_gen, the macro for this, casts that away
  return {EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve), &EVP_PKEY_free};
}

template <typename Write>
std::string PemOf(Write write) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), &BIO_free);
  KVROUTE_CHECK(write(bio.get()) == 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<size_t>(size)};
}

std::string PemOf(X509* certificate) {
  return PemOf([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

void AddExtension(X509* certificate, int nid, const char* value, X509* issuer = nullptr) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value), &X509_EXTENSION_free);
  KVROUTE_CHECK(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1);
}

std::shared_ptr<X509> NewCertificate(const char* name, EVP_PKEY* key) {
  std::shared_ptr<X509> made(X509_new(), &X509_free);
  uint64_t serial = 0;
  KVROUTE_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial)) == 1);
  X509_set_version(made.get(), 2);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(made.get()), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -kHourSeconds);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), kHourSeconds);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_pubkey(made.get(), key);
  return made;
}

}  // namespace

TestCa::TestCa() : key_(NewKey()), certificate_(NewCertificate("test CA", key_.get())) {
  X509_set_issuer_name(certificate_.get(), X509_get_subject_name(certificate_.get()));
  AddExtension(certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(certificate_.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  AddExtension(certificate_.get(), NID_subject_key_identifier, "hash");
  KVROUTE_CHECK(X509_sign(certificate_.get(), key_.get(), EVP_sha256()) != 0);
  pem_ = PemOf(certificate_.get());
}

TestCertificate TestCa::Sign(const std::string& names) {
  const std::shared_ptr<EVP_PKEY> key = NewKey();
  const std::shared_ptr<X509> made = NewCertificate("test", key.get());
  X509_set_issuer_name(made.get(), X509_get_subject_name(certificate_.get()));
  AddExtension(made.get(), NID_subject_alt_name, names.c_str());
  AddExtension(made.get(), NID_ext_key_usage, "serverAuth,clientAuth");
  // As every CA does: by this a certificate is told to be of the old or the new of one name.
  AddExtension(made.get(), NID_authority_key_identifier, "keyid:always", certificate_.get());
  KVROUTE_CHECK(X509_sign(made.get(), key_.get(), EVP_sha256()) != 0);
  return {PemOf(made.get()), PemOf([&](BIO* bio) {
            return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

}  // namespace kvroute::testing_support
