#ifndef KVROUTE_TEST_SUPPORT_TEST_CERTIFICATES_H_
#define KVROUTE_TEST_SUPPORT_TEST_CERTIFICATES_H_

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace kvroute::testing_support {

// A certificate with its key, in PEM.
struct TestCertificate {
  std::string certificate;
  std::string key;
};

// An authority of a test's own, made anew each time. One thread.
class TestCa {
 public:
  TestCa();

  const std::string& pem() const { return pem_; }
  // `names` as OpenSSL writes them: "DNS:localhost,IP:127.0.0.1", "URI:spiffe://prod/ns/a".
  TestCertificate Sign(const std::string& names);

 private:
  std::shared_ptr<EVP_PKEY> key_;
  std::shared_ptr<X509> certificate_;
  std::string pem_;
};

}  // namespace kvroute::testing_support

#endif  // KVROUTE_TEST_SUPPORT_TEST_CERTIFICATES_H_
