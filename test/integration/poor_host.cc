// Loaded before the C library: names that end in ".silent" are asked of a name server that never
// answers, while the file $KVROUTE_TEST_NO_THREADS is there the process gets no further thread, and
// with $KVROUTE_TEST_NO_RANDOM the system gives no random numbers.
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  constexpr char kSilent[] = ".silent";
  const size_t length = host != nullptr ? std::strlen(host) : 0;
  if (length >= sizeof(kSilent) &&
      std::strcmp(host + length - (sizeof(kSilent) - 1), kSilent) == 0) {
    for (;;) pause();
  }
  using GetAddrInfo = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto real = reinterpret_cast<GetAddrInfo>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return real(host, service, hints, found);
}

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*body)(void*), void* argument) {
  const char* const none = std::getenv("KVROUTE_TEST_NO_THREADS");
  if (none != nullptr && access(none, F_OK) == 0) return EAGAIN;
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto real = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  return real(thread, attributes, body, argument);
}

extern "C" ssize_t getrandom(void* bytes, size_t size, unsigned flags) {
  if (std::getenv("KVROUTE_TEST_NO_RANDOM") != nullptr) {
    errno = EPERM;
    return -1;
  }
  using GetRandom = ssize_t (*)(void*, size_t, unsigned);
  static const auto real = reinterpret_cast<GetRandom>(dlsym(RTLD_NEXT, "getrandom"));
  return real(bytes, size, flags);
}
