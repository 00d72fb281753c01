#include "indexer/base/name_service.h"

#include <netdb.h>
#include <pthread.h>
#include <sys/socket.h>

#include <algorithm>
#include <deque>
#include <system_error>
#include <thread>
#include <utility>

#include "indexer/base/limits.h"
#include "indexer/base/mutex.h"

namespace kvroute {
namespace {

ConnectTrouble LookupTroubleOf(int error) {
  switch (error) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
      return ConnectTrouble::kNoSuchHost;
    default:  // not now, or never: a server that does not answer, a failure of its, no memory
      return ConnectTrouble::kNameServer;
  }
}

class SystemNames final : public NameService {
 public:
  NameAnswer AddressesOf(const std::string& host) override {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    NameAnswer answer;
    if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0) {
      answer.trouble = LookupTroubleOf(error);
      return answer;
    }
    for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
      char text[NI_MAXHOST];
      if (getnameinfo(each->ai_addr, each->ai_addrlen, text, sizeof(text), nullptr, 0,
                      NI_NUMERICHOST) != 0) {
        continue;
      }
      if (std::find(answer.addresses.begin(), answer.addresses.end(), text) ==
          answer.addresses.end()) {
        answer.addresses.emplace_back(text);
      }
      if (answer.addresses.size() == limits::kMaxAddressesOfName) break;
    }
    freeaddrinfo(found);
    if (answer.addresses.empty()) answer.trouble = ConnectTrouble::kNoSuchHost;
    return answer;
  }
};

}  // namespace

std::shared_ptr<NameService> NameService::System() { return std::make_shared<SystemNames>(); }

// Owned by the threads as well: the last of them may outlive everything else.
struct NameLookups::State {
  std::shared_ptr<NameService> service;
  std::shared_ptr<WakeFd> wake;
  Mutex mutex;
  std::deque<std::weak_ptr<Question>> waiting ABSL_GUARDED_BY(mutex);
  size_t threads ABSL_GUARDED_BY(mutex) = 0;
};

NameLookups::NameLookups(std::shared_ptr<NameService> service, std::shared_ptr<WakeFd> wake)
    : state_(std::make_shared<State>()) {
  state_->service = std::move(service);
  state_->wake = std::move(wake);
}

NameLookups::~NameLookups() {
  MutexLock lock(&state_->mutex);
  state_->waiting.clear();
}

std::shared_ptr<const NameLookups::Question> NameLookups::Ask(const std::string& host) {
  auto question = std::make_shared<Question>();
  question->host = host;
  MutexLock lock(&state_->mutex);
  state_->waiting.push_back(question);
  if (state_->threads == limits::kMaxNameLookups) return question;
  try {
    std::thread([state = state_] {
      pthread_setname_np(pthread_self(), "name-lookup");
      Work(state);
    }).detach();
    ++state_->threads;
  } catch (const std::system_error&) {
    // No thread: another takes the question when it has its answer. Where there is none, nobody
    // ever would, and who waits for an answer before he asks again would wait for ever.
    if (state_->threads == 0) {
      question->answer.trouble = ConnectTrouble::kNameServer;
      question->answered.store(true, std::memory_order_release);
      state_->waiting.pop_back();
      state_->wake->Wake();
    }
  }
  return question;
}

void NameLookups::Work(const std::shared_ptr<State>& state) {
  for (;;) {
    std::shared_ptr<Question> question;
    {
      MutexLock lock(&state->mutex);
      while (question == nullptr && !state->waiting.empty()) {
        question = state->waiting.front().lock();
        state->waiting.pop_front();
      }
      if (question == nullptr) {
        --state->threads;
        return;
      }
    }
    question->answer = state->service->AddressesOf(question->host);
    question->answered.store(true, std::memory_order_release);
    state->wake->Wake();
  }
}

}  // namespace kvroute
