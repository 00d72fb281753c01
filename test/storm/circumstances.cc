// What befalls the server of the storm from its machine, loaded into it by LD_PRELOAD: name servers
// that do not answer, for names that begin with "slow-", and no more descriptors than
// $KVROUTE_STORM_DESCRIPTORS says.
#include <dlfcn.h>
#include <netdb.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace {

using GetAddrInfo = int (*)(const char*, const char*, const addrinfo*, addrinfo**);

__attribute__((constructor)) void LimitDescriptors() {
  const char* const most = std::getenv("KVROUTE_STORM_DESCRIPTORS");
  if (most == nullptr) return;
  const rlim_t descriptors = std::strtoul(most, nullptr, 10);
  const rlimit limit = {descriptors, descriptors};
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  if (name != nullptr && std::string_view(name).substr(0, 5) == "slow-") {
    sleep(20);
    return EAI_AGAIN;
  }
  return reinterpret_cast<GetAddrInfo>(dlsym(RTLD_NEXT, "getaddrinfo"))(name, service, hints,
                                                                        found);
}
