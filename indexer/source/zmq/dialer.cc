#include "indexer/source/zmq/dialer.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "indexer/base/clock.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

// Diagnoses leave the other half of kMaxDials to those who want an address.
constexpr size_t kMaxDiagnoses = limits::kMaxDials / 2;

Nanos Now() { return Clock::Real().Monotonic(); }

ConnectTrouble TroubleOf(int error) {
  switch (error) {
    case 0:
      return ConnectTrouble::kNone;
    case ECONNREFUSED:
    case ECONNRESET:
      return ConnectTrouble::kRefused;
    case ETIMEDOUT:
      return ConnectTrouble::kNoAnswer;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case ENETDOWN:
    case EHOSTDOWN:
      return ConnectTrouble::kUnreachable;
    case EMFILE:
    case ENFILE:
      return ConnectTrouble::kDescriptors;
    default:
      return ConnectTrouble::kOther;
  }
}

}  // namespace

// One connection, which says nothing and is closed once it is known whether it can be made.
struct Dialer::Attempt {
  TcpEndpoint endpoint;
  int fd = -1;
  bool pending = false;
  ConnectTrouble trouble = ConnectTrouble::kNone;

  explicit Attempt(TcpEndpoint to) : endpoint(std::move(to)) {}
  ~Attempt() { Close(); }
  Attempt(Attempt&& other) noexcept
      : endpoint(std::move(other.endpoint)),
        fd(std::exchange(other.fd, -1)),
        pending(other.pending),
        trouble(other.trouble) {}
  Attempt& operator=(Attempt&&) = delete;

  void Start() {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* address = nullptr;
    if (getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints,
                    &address) != 0) {
      trouble = ConnectTrouble::kOther;
      return;
    }
    fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
      pending = fd >= 0 && errno == EINPROGRESS;
      if (!pending) trouble = TroubleOf(errno);
    }
    freeaddrinfo(address);
    if (!pending) Close();
  }
  void Check() {
    pollfd item = {.fd = fd, .events = POLLOUT, .revents = 0};
    if (!pending || poll(&item, 1, 0) <= 0) return;
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    trouble = TroubleOf(error);
    pending = false;
    Close();
  }
  void Close() {
    if (fd >= 0) close(fd);
    fd = -1;
  }
};

struct Dialer::Job {
  TcpEndpoint endpoint;
  Purpose purpose = Purpose::kAddress;
  std::string not_at;
  const NetworkList* networks = nullptr;
  std::shared_ptr<Call> call;
  Nanos deadline{0};
  std::shared_ptr<const NameLookups::Question> question;
  std::vector<Attempt> attempts;
};

absl::StatusOr<std::unique_ptr<Dialer>> Dialer::Start(std::shared_ptr<NameService> names,
                                                      std::chrono::milliseconds timeout) {
  std::unique_ptr<Dialer> dialer(new Dialer(std::move(names), timeout));
  if (dialer->wake_->fd() < 0) {
    return absl::ResourceExhaustedError("max_open_files: no file descriptor to seek engines with");
  }
  return dialer;
}

Dialer::Dialer(std::shared_ptr<NameService> names, std::chrono::milliseconds timeout)
    : timeout_(timeout),
      lookups_(std::move(names), wake_),
      thread_("zmq-dialer", [this] { Run(); }) {}

Dialer::~Dialer() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
  }
  wake_->Wake();
  thread_.Join();
}

std::shared_ptr<const Dialer::Call> Dialer::Dial(const TcpEndpoint& endpoint, Purpose purpose,
                                                 const std::string& not_at,
                                                 const NetworkList* networks) {
  auto job = std::make_unique<Job>();
  job->endpoint = endpoint;
  job->purpose = purpose;
  job->not_at = not_at;
  job->networks = networks;
  auto call = std::make_shared<Call>();
  job->call = call;
  {
    MutexLock lock(&mutex_);
    (purpose == Purpose::kAddress ? urgent_ : diagnoses_).push_back(std::move(job));
  }
  wake_->Wake();
  return call;
}

void Dialer::Run() {
  while (TakeJobs()) {
    std::erase_if(running_, [this](const auto& job) { return Advance(job.get()); });
    Wait();
  }
  running_.clear();
}

bool Dialer::TakeJobs() {
  MutexLock lock(&mutex_);
  if (stop_) return false;
  while (auto* const queue = NextQueue()) {
    running_.push_back(std::move(queue->front()));
    queue->pop_front();
    running_.back()->deadline = Now() + timeout_;
  }
  return true;
}

std::deque<std::unique_ptr<Dialer::Job>>* Dialer::NextQueue() {
  if (running_.size() >= limits::kMaxDials) return nullptr;
  if (!urgent_.empty()) return &urgent_;
  const auto diagnoses = std::count_if(running_.begin(), running_.end(), [](const auto& job) {
    return job->purpose == Purpose::kDiagnosis;
  });
  const bool room = static_cast<size_t>(diagnoses) < kMaxDiagnoses;
  return room && !diagnoses_.empty() ? &diagnoses_ : nullptr;
}

// Until something may have happened: an answer, a connection, a new job, a deadline.
void Dialer::Wait() {
  std::vector<pollfd> items = {{.fd = wake_->fd(), .events = POLLIN, .revents = 0}};
  Nanos until = Now() + std::chrono::seconds(1);
  {
    MutexLock lock(&mutex_);
    if (NextQueue() != nullptr) until = Nanos(0);  // a place has become free
  }
  for (const auto& job : running_) {
    until = std::min(until, job->deadline);
    for (const Attempt& attempt : job->attempts) {
      if (attempt.pending) items.push_back({.fd = attempt.fd, .events = POLLOUT, .revents = 0});
    }
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Now());
  poll(items.data(), items.size(), std::max<int>(0, static_cast<int>(left.count())));
  wake_->Woken();
}

bool Dialer::Advance(Job* job) {
  if (job->call.use_count() == 1) return true;  // nobody is interested any more
  if (job->attempts.empty()) Begin(job);
  return job->call->done() || Judge(job);
}

// From a name to its addresses, and from them to connections.
void Dialer::Begin(Job* job) {
  NameAnswer answer;
  if (IsLiteralAddress(job->endpoint.host)) {
    answer.addresses.push_back(job->endpoint.host);
  } else {
    if (job->question == nullptr) job->question = lookups_.Ask(job->endpoint.host);
    if (!job->question->answered.load(std::memory_order_acquire)) return;
    answer = job->question->answer;
    if (answer.trouble != ConnectTrouble::kNone) return Finish(job, {answer.trouble, ""});
  }
  if (job->networks != nullptr) {
    std::erase_if(answer.addresses, [job](const std::string& address) {
      return !job->networks->Allows(std::string_view(address));
    });
    if (answer.addresses.empty()) return Finish(job, {ConnectTrouble::kNotAllowed, ""});
  }
  const bool is_name = !IsLiteralAddress(job->endpoint.host);
  if (is_name && answer.addresses.size() == 1 && job->purpose == Purpose::kAddress) {
    return Finish(job,
                  {ConnectTrouble::kNone, TextOf({answer.addresses.front(), job->endpoint.port})});
  }
  for (std::string& address : answer.addresses) {
    job->attempts.emplace_back(TcpEndpoint{std::move(address), job->endpoint.port});
    job->attempts.back().Start();
  }
}

// Done as soon as one address answers; that of `not_at` only if no other does.
bool Dialer::Judge(Job* job) {
  const bool late = Now() >= job->deadline;
  if (job->attempts.empty()) {  // the name server is still asked
    if (late) Finish(job, {ConnectTrouble::kNameServer, ""});
    return late;
  }
  bool pending = false;
  std::string spare;
  ConnectTrouble worst = ConnectTrouble::kNoAnswer;
  for (Attempt& attempt : job->attempts) {
    attempt.Check();
    pending |= attempt.pending;
    if (attempt.pending) continue;
    const std::string text = TextOf(attempt.endpoint);
    if (attempt.trouble != ConnectTrouble::kNone) {
      // of a host that refuses more is known than of one that does not answer
      if (worst != ConnectTrouble::kRefused) worst = attempt.trouble;
    } else if (text != job->not_at) {
      Finish(job, {ConnectTrouble::kNone, text});
      return true;
    } else {
      spare = text;
    }
  }
  if (pending && !late) return false;
  Finish(job, spare.empty() ? Dialed{worst, ""} : Dialed{ConnectTrouble::kNone, spare});
  return true;
}

void Dialer::Finish(Job* job, Dialed dialed) {
  job->call->dialed_ = std::move(dialed);
  job->call->done_.store(true, std::memory_order_release);
}

}  // namespace kvroute
