#include "indexer/base/name_service.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>

#include <system_error>
#include <thread>

namespace kvroute {
namespace {

class OneName final : public NameService {
 public:
  NameAnswer AddressesOf(const std::string&) override { return {.addresses = {"10.0.0.7"}}; }
};

// While it lives, threads are asked for with a stack that no system has room for.
class NoThreads {
 public:
  NoThreads() {
    pthread_getattr_default_np(&before_);
    pthread_attr_t huge = before_;
    pthread_attr_setstacksize(&huge, size_t{1} << 50);
    EXPECT_EQ(pthread_setattr_default_np(&huge), 0);
  }
  ~NoThreads() { pthread_setattr_default_np(&before_); }

 private:
  pthread_attr_t before_;
};

// In the order of a user's: it is woken, then it looks.
NameAnswer Await(const std::shared_ptr<const NameLookups::Question>& question, WakeFd* wake) {
  pollfd woken{.fd = wake->fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&woken, 1, 60'000), 1);
  wake->Woken();
  EXPECT_TRUE(question->answered.load(std::memory_order_acquire));
  return question->answer;
}

TEST(NameLookupsTest, WithoutAThreadAQuestionIsAnsweredAllTheSame) {
  const auto wake = std::make_shared<WakeFd>();
  NameLookups lookups(std::make_shared<OneName>(), wake);
  {
    const NoThreads shortage;
    EXPECT_THROW(std::thread([] {}).join(), std::system_error);
    const auto question = lookups.Ask("engine");
    EXPECT_EQ(Await(question, wake.get()).trouble, ConnectTrouble::kNameServer);
  }
  const auto again = lookups.Ask("engine");
  EXPECT_EQ(Await(again, wake.get()).addresses, std::vector<std::string>{"10.0.0.7"});
}

}  // namespace
}  // namespace kvroute
