#include "test/integration/rights_server.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"

namespace kvroute {
namespace {

using testing_support::HttpReply;
using testing_support::HttpsRequest;
using testing_support::ServerProcess;

// Two roles are granted by DNS names, two by URIs: one exact and one pattern of each.
std::string NameFor(const std::string& role) {
  if (role == "route") return "DNS:gateway.test";
  if (role == "register") return "DNS:deploy.register.test";
  if (role == "admin") return "URI:spiffe://test/admin";
  if (role == "metrics") return "URI:spiffe://test/metrics/prometheus";
  return "DNS:" + role;
}

constexpr std::string_view kGrants = R"(
  certificates:
  - {name: gateway.test, roles: route}
  - {name: '*.register.test', roles: register}
  - {name: 'spiffe://test/admin', roles: admin}
  - {name: 'spiffe://test/metrics/*', roles: metrics}
)";

}  // namespace

RightsServer::RightsServer(const std::string& more, const std::vector<std::string>& flags)
    : folder_(absl::StrCat(std::filesystem::temp_directory_path().string(), "/kvroute-rights-",
                           getpid())) {
  std::filesystem::create_directories(folder_);
  WriteFile("ca.crt", ca_.pem());
  RenewServerCertificate();
  std::string tokens;
  for (const std::string role : {"route", "register", "admin", "metrics"}) {
    absl::StrAppend(&tokens, "holder-of-", role, " ", role, " ", TokenOf(role), "\n");
  }
  WriteFile("tokens", tokens);
  const std::string files =
      absl::StrCat("certificate_file: ", PathOf("tls.crt"), ", key_file: ", PathOf("tls.key"),
                   ", client_ca_file: ", PathOf("ca.crt"));
  const std::string tls =
      absl::StrCat("  tls: {", files, ", client_certificate_required: false}\n");
  WriteFile("kvroute.yaml",
            absl::StrCat("grpc:\n", tls, "http:\n", tls, "http_json:\n  listen: 127.0.0.1:0\n", tls,
                         "picker: {listen: '127.0.0.1:0', tls: files, ", files,
                         ", plaintext_listen: '127.0.0.1:0'}\n",
                         "rights:\n  token_file: ", PathOf("tokens"), std::string(kGrants), more));
  std::vector<std::string> all = {"--config", PathOf("kvroute.yaml")};
  all.insert(all.end(), flags.begin(), flags.end());
  auto started = ServerProcess::Start(all);
  if (!started.ok()) std::fprintf(stderr, "%s\n", started.status().ToString().c_str());
  KVROUTE_CHECK(started.ok());
  process_ = *std::move(started);
}

RightsServer::~RightsServer() {
  process_.reset();
  std::filesystem::remove_all(folder_);
}

TestCaller RightsServer::WithCertificate(const std::string& role) {
  return {"certificate of " + role, ca_.Sign(NameFor(role)), ""};
}

TestCaller RightsServer::WithToken(const std::string& role) const {
  return {"token of " + role, {}, TokenOf(role)};
}

std::shared_ptr<grpc::Channel> RightsServer::Channel(const TestCaller& caller,
                                                     std::string_view port_name) const {
  const std::string address = absl::StrCat("127.0.0.1:", process_->PortOf(std::string(port_name)));
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride("localhost");
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (port_name == "picker_plaintext") {
    return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  }
  return grpc::CreateCustomChannel(
      address,
      grpc::SslCredentials({ca_.pem(), caller.certificate.key, caller.certificate.certificate}),
      arguments);
}

HttpReply RightsServer::Http(const TestCaller& caller, std::string_view port_name,
                             std::string_view method, std::string_view path,
                             const std::string& body) const {
  return HttpsRequest(
      process_->PortOf(std::string(port_name)),
      {.method = method,
       .path = path,
       .ca = ca_.pem(),
       .certificate = caller.certificate,
       .authorization = caller.token.empty() ? "" : absl::StrCat("Bearer ", caller.token),
       .body = body});
}

void RightsServer::WriteFile(const std::string& name, const std::string& text) {
  const std::string unfinished = PathOf(name) + ".new";
  std::ofstream(unfinished) << text;
  std::filesystem::rename(unfinished, PathOf(name));
}

void RightsServer::RenewServerCertificate() {
  const testing_support::TestCertificate made = ca_.Sign("DNS:localhost,IP:127.0.0.1");
  WriteFile("tls.crt", made.certificate);
  WriteFile("tls.key", made.key);
}

bool RightsServer::AwaitMetric(const std::string& line) const {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < deadline) {
    const HttpReply page = Http(WithToken("metrics"), "http", "GET", "/metrics");
    if (page.body.find(line + "\n") != std::string::npos) return true;
  }
  return false;
}

}  // namespace kvroute
