#ifndef KVROUTE_TEST_INTEGRATION_RIGHTS_SERVER_H_
#define KVROUTE_TEST_INTEGRATION_RIGHTS_SERVER_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "test/support/https_client.h"
#include "test/support/server_process.h"
#include "test/support/test_certificates.h"

namespace kvroute {

// Who calls, with what it shows.
struct TestCaller {
  std::string name;
  testing_support::TestCertificate certificate = {};  // empty: none
  std::string token = "";                             // empty: none
};

// `kvroute serve` with TLS on every port, a certificate and a token for each role, and files that a
// test may replace while it serves. Ended and its files removed with the object. One thread, but
// for calls.
class RightsServer {
 public:
  // `more` of the configuration, as YAML; `flags` of the command line.
  explicit RightsServer(const std::string& more = "", const std::vector<std::string>& flags = {});
  ~RightsServer();

  // Of one role, by its name.
  TestCaller WithCertificate(const std::string& role);
  TestCaller WithToken(const std::string& role) const;
  static std::string TokenOf(const std::string& role) { return "0123456789-token-of-" + role; }

  // On connections of its own.
  std::shared_ptr<grpc::Channel> Channel(const TestCaller& caller,
                                         std::string_view port_name = "grpc") const;
  testing_support::HttpReply Http(const TestCaller& caller, std::string_view port_name,
                                  std::string_view method, std::string_view path,
                                  const std::string& body = "") const;

  // As who renews a file does: the new one takes the old one's place.
  void WriteFile(const std::string& name, const std::string& text);
  std::string PathOf(const std::string& name) const { return folder_ + "/" + name; }
  // Certificate and key of every port, signed by the CA.
  void RenewServerCertificate();
  // So that the value of a metric is that, as its page says. Waits for it.
  bool AwaitMetric(const std::string& line) const;

  testing_support::TestCa& ca() { return ca_; }
  testing_support::ServerProcess& process() { return *process_; }

 private:
  const std::string folder_;
  testing_support::TestCa ca_;
  std::unique_ptr<testing_support::ServerProcess> process_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_INTEGRATION_RIGHTS_SERVER_H_
