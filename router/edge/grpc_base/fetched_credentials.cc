// Credentials of a gRPC server that are fetched anew for every connection: the C library has them,
// its C++ interface does not.
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpcpp/security/server_credentials.h>

#include "router/edge/grpc_base/certificate_files.h"

namespace kvroute {
namespace {

grpc_ssl_client_certificate_request_type AskedOf(const TlsFiles& files) {
  if (files.client_ca_file.empty()) return GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
  return files.client_certificate_required
             ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
             : GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY;
}

class FetchedCredentials final : public grpc::ServerCredentials {
 public:
  // gRPC may ask as long as the server lives, which is longer than this object: so what it asks
  // with is the files' own.
  explicit FetchedCredentials(CertificateFiles::Fetched* fetched) {
    credentials_ = grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            AskedOf(fetched->files->files()), &Fetch, fetched));
  }
  ~FetchedCredentials() override { grpc_server_credentials_release(credentials_); }

  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  // Asked for every connection; gRPC keeps what it has where it is told nothing new.
  static grpc_ssl_certificate_config_reload_status Fetch(
      void* user_data, grpc_ssl_server_certificate_config** config) {
    auto* const fetched = static_cast<CertificateFiles::Fetched*>(user_data);
    MutexLock lock(&fetched->mutex);
    Certificates now;
    if (!fetched->files->FetchAfter(&fetched->version, &now)) {
      return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    }
    const grpc_ssl_pem_key_cert_pair pair = {now.key.c_str(), now.certificate.c_str()};
    // It wants some CA even where no client is asked for a certificate.
    const std::string& ca = now.client_ca.empty() ? now.certificate : now.client_ca;
    *config = grpc_ssl_server_certificate_config_create(ca.c_str(), &pair, 1);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  grpc_server_credentials* credentials_ = nullptr;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> CertificateFiles::Credentials() {
  MutexLock lock(&mutex_);
  fetched_.emplace_back().files = this;
  return std::make_shared<FetchedCredentials>(&fetched_.back());
}

}  // namespace kvroute
