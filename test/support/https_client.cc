#include "test/support/https_client.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace kvroute::testing_support {
namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

Bio Reading(const std::string& pem) {
  return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free};
}

Context ContextFor(const HttpsRequestParts& parts) {
  Context context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  X509* const ca = PEM_read_bio_X509(Reading(parts.ca).get(), nullptr, nullptr, nullptr);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), ca);
  X509_free(ca);
  if (parts.certificate.certificate.empty()) return context;
  X509* const own =
      PEM_read_bio_X509(Reading(parts.certificate.certificate).get(), nullptr, nullptr, nullptr);
  EVP_PKEY* const key =
      PEM_read_bio_PrivateKey(Reading(parts.certificate.key).get(), nullptr, nullptr, nullptr);
  SSL_CTX_use_certificate(context.get(), own);
  SSL_CTX_use_PrivateKey(context.get(), key);
  X509_free(own);
  EVP_PKEY_free(key);
  return context;
}

std::string TextOf(const HttpsRequestParts& parts) {
  std::string text = absl::StrCat(std::string(parts.method), " ", std::string(parts.path),
                                  " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
  if (!parts.authorization.empty()) {
    absl::StrAppend(&text, "Authorization: ", parts.authorization, "\r\n");
  }
  if (!parts.body.empty()) {
    absl::StrAppend(&text, "Content-Type: application/json\r\nContent-Length: ", parts.body.size(),
                    "\r\n");
  }
  return absl::StrCat(text, "\r\n", parts.body);
}

HttpReply Parse(const std::string& answer) {
  HttpReply reply;
  const size_t end = answer.find("\r\n\r\n");
  if (answer.size() < 12 || end == std::string::npos) return reply;
  if (!absl::SimpleAtoi(answer.substr(9, 3), &reply.status)) return reply;
  reply.headers = answer.substr(0, end);
  reply.body = answer.substr(end + 4);
  return reply;
}

}  // namespace

HttpReply HttpsRequest(int port, const HttpsRequestParts& parts) {
  std::signal(SIGPIPE, SIG_IGN);  // a server that does not want us closes, and OpenSSL writes on
  const Context context = ContextFor(parts);
  const int fd = SendAndKeep(port, "");
  if (fd < 0) return {};
  std::string answer;
  const std::unique_ptr<SSL, decltype(&SSL_free)> tls(SSL_new(context.get()), &SSL_free);
  SSL_set_fd(tls.get(), fd);
  const std::string text = TextOf(parts);
  if (SSL_connect(tls.get()) == 1 &&
      SSL_write(tls.get(), text.data(), static_cast<int>(text.size())) > 0) {
    std::array<char, 65'536> buffer;
    for (int got; (got = SSL_read(tls.get(), buffer.data(), buffer.size())) > 0;) {
      answer.append(buffer.data(), static_cast<size_t>(got));
    }
  }
  close(fd);
  return Parse(answer);
}

}  // namespace kvroute::testing_support
