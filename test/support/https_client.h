#ifndef KVROUTE_TEST_SUPPORT_HTTPS_CLIENT_H_
#define KVROUTE_TEST_SUPPORT_HTTPS_CLIENT_H_

#include <string>
#include <string_view>

#include "test/support/http_client.h"
#include "test/support/test_certificates.h"

namespace kvroute::testing_support {

struct HttpsRequestParts {
  std::string_view method = "GET";
  std::string_view path;
  std::string ca;                    // in PEM, that must have signed the server's certificate
  TestCertificate certificate = {};  // to be shown; empty: none
  std::string authorization = "";    // empty: none
  std::string body = "";             // of application/json
};

// One request over TLS to 127.0.0.1:port, on a connection of its own. Status 0: no connection, no
// handshake, or no answer.
HttpReply HttpsRequest(int port, const HttpsRequestParts& parts);

}  // namespace kvroute::testing_support

#endif  // KVROUTE_TEST_SUPPORT_HTTPS_CLIENT_H_
