#include "router/rights/known_caller.h"

#include <openssl/crypto.h>

namespace kvroute {

bool KnownCaller::IsLast(std::string_view authorization) const {
  return authorization.size() == authorization_.size() &&
         CRYPTO_memcmp(authorization.data(), authorization_.data(), authorization.size()) == 0;
}

}  // namespace kvroute
