// A server whose certificate is renewed under it.
#include "router/edge/grpc_base/certificate_files.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "indexer/base/check.h"

namespace kvroute {
namespace {

using grpc::health::v1::Health;
using testing::HasSubstr;

// Says which certificate it was called with.
class CalledHealth final : public Health::Service {
 public:
  grpc::Status Check(grpc::ServerContext*, const grpc::health::v1::HealthCheckRequest*,
                     grpc::health::v1::HealthCheckResponse*) override {
    return grpc::Status::OK;
  }
};

std::string Pem(const std::function<int(BIO*)>& write) {
  BIO* const bio = BIO_new(BIO_s_mem());
  KVROUTE_CHECK(write(bio) == 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio, &text);
  const std::string pem(text, static_cast<size_t>(size));
  BIO_free(bio);
  return pem;
}

// A certificate and its key that fit, of as few bits as nobody accepts any more.
SelfSigned WeakPair() {
  EVP_PKEY* const key = EVP_RSA_gen(512);
  X509* const certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86'400);
  X509_set_pubkey(certificate, key);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  KVROUTE_CHECK(X509_sign(certificate, key, EVP_sha256()) != 0);
  const SelfSigned pair{
      Pem([&](BIO* to) { return PEM_write_bio_X509(to, certificate); }), Pem([&](BIO* to) {
        return PEM_write_bio_PrivateKey(to, key, nullptr, nullptr, 0, nullptr, nullptr);
      })};
  X509_free(certificate);
  EVP_PKEY_free(key);
  return pair;
}

class CertificateFilesTest : public testing::Test {
 protected:
  CertificateFilesTest() {
    std::filesystem::create_directories(folder_);
    first_ = *MakeSelfSigned();
    Write(first_);
    auto opened = CertificateFiles::Open("picker", Files());
    KVROUTE_CHECK(opened.ok());
    files_ = *std::move(opened);
  }
  ~CertificateFilesTest() override {
    if (server_ != nullptr) server_->Shutdown();
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  TlsFiles Files() const { return {folder_ + "/tls.crt", folder_ + "/tls.key", ""}; }
  void WriteText(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
  }
  void Write(const SelfSigned& made) {
    WriteText("tls.crt", made.certificate);
    WriteText("tls.key", made.key);
  }
  void StartServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", files_->Credentials(), &port_);
    builder.RegisterService(&health_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  // A connection of its own, to whoever answers.
  std::shared_ptr<grpc::Channel> Connect() const {
    grpc::experimental::TlsChannelCredentialsOptions options;
    options.set_verify_server_certs(false);
    options.set_check_call_host(false);
    options.set_certificate_verifier(
        std::make_shared<grpc::experimental::NoOpCertificateVerifier>());
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port_),
                                     grpc::experimental::TlsCredentials(options), arguments);
  }
  // The certificate that a call is answered with; what went wrong instead.
  static std::string Shown(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    grpc::health::v1::HealthCheckResponse response;
    const grpc::Status status = Health::NewStub(channel)->Check(&context, {}, &response);
    if (!status.ok()) return status.error_message();
    const auto shown = context.auth_context()->FindPropertyValues("x509_pem_cert");
    return shown.empty() ? "none" : std::string(shown[0].data(), shown[0].size());
  }

  const std::string folder_ = absl::StrCat(testing::TempDir(), "/certificates-", getpid());
  SelfSigned first_;
  std::unique_ptr<CertificateFiles> files_;
  CalledHealth health_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(CertificateFilesTest, ARenewedCertificateIsShownToNewConnectionsAndNoCallFails) {
  StartServer();
  const auto before = Connect();
  EXPECT_EQ(Shown(before), first_.certificate);
  const SelfSigned second = *MakeSelfSigned();
  // Half replaced: the certificate is there, its key not yet.
  WriteText("tls.crt", second.certificate);
  files_->Look();
  EXPECT_EQ(Shown(Connect()), first_.certificate);
  WriteText("tls.key", second.key);
  files_->Look();
  EXPECT_EQ(Shown(Connect()), second.certificate);
  EXPECT_EQ(Shown(before), first_.certificate) << "its connection stands";
  EXPECT_EQ(files_->GetStats().applied, 1u);
  EXPECT_EQ(files_->GetStats().refused, 0u) << "half replaced is no fault";
}

TEST_F(CertificateFilesTest, WhatStaysWrongIsCountedOnceAndChangesNothing) {
  StartServer();
  WriteText("tls.crt", "no certificate");
  for (int look = 0; look < 4; ++look) files_->Look();
  EXPECT_EQ(files_->GetStats().refused, 1u);
  EXPECT_EQ(files_->GetStats().applied, 0u);
  EXPECT_EQ(Shown(Connect()), first_.certificate);
  std::filesystem::remove(Files().key_file);
  for (int look = 0; look < 4; ++look) files_->Look();
  EXPECT_EQ(Shown(Connect()), first_.certificate);
  Write(first_);
  files_->Look();
  EXPECT_EQ(files_->GetStats().applied, 0u) << "the same as before";
}

// gRPC would say nothing and go on with those before.
TEST_F(CertificateFilesTest, WhatTlsDoesNotAcceptIsRefusedAndNotCountedAsApplied) {
  StartServer();
  Write(WeakPair());
  for (int look = 0; look < 2; ++look) files_->Look();
  EXPECT_EQ(files_->GetStats().applied, 0u);
  EXPECT_EQ(files_->GetStats().refused, 1u);
  EXPECT_EQ(Shown(Connect()), first_.certificate);
  EXPECT_THAT(std::string(CertificateFiles::Open("picker", Files()).status().message()),
              HasSubstr("picker.certificate_file: "));
}

TEST_F(CertificateFilesTest, FollowedFilesAreLookedAtByAThreadOfTheirOwn) {
  files_->Follow(std::chrono::milliseconds(1));
  const SelfSigned second = *MakeSelfSigned();
  Write(second);
  uint64_t version = 1;
  Certificates now;
  while (!files_->FetchAfter(&version, &now)) std::this_thread::yield();
  EXPECT_EQ(now.certificate, second.certificate);
}

TEST_F(CertificateFilesTest, SaysWhenTheCertificateExpires) {
  constexpr int64_t kYear = 365 * 86'400;
  const int64_t in_ten_years = time(nullptr) + 10 * kYear;
  EXPECT_NEAR(static_cast<double>(files_->GetStats().expires_unix_s),
              static_cast<double>(in_ten_years), 600.0);
  Exposition page;
  AddCertificateMetrics("picker", files_.get(), &page);
  AddCertificateMetrics("grpc", nullptr, &page);
  EXPECT_THAT(page.Text(), HasSubstr("kvroute_certificate_expiry_seconds{edge=\"picker\"} "));
  EXPECT_THAT(page.Text(), HasSubstr("kvroute_certificate_changes_total{edge=\"picker\","
                                     "result=\"refused\"} 0\n"));
  EXPECT_THAT(page.Text(), testing::Not(HasSubstr("edge=\"grpc\"")));
}

TEST_F(CertificateFilesTest, OpenNamesTheFieldAndTheFile) {
  TlsFiles files = Files();
  files.key_file = folder_ + "/none";
  EXPECT_THAT(std::string(CertificateFiles::Open("picker", files).status().message()),
              HasSubstr("picker.key_file: "));
  files = Files();
  files.client_ca_file = files.key_file;
  EXPECT_THAT(std::string(CertificateFiles::Open("picker", files).status().message()),
              HasSubstr("picker.client_ca_file: "));
}

}  // namespace
}  // namespace kvroute
