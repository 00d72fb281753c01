#include "indexer/source/zmq/dialer.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>
#include <vector>

#include "indexer/base/limits.h"
#include "test/support/fake_names.h"
#include "test/support/reserved_port.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Takes connections at 127.0.0.1, and at no other address.
class ListeningPort {
 public:
  ListeningPort() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(reserved_.number()));
    KVROUTE_CHECK(setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
    KVROUTE_CHECK(bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    KVROUTE_CHECK(listen(socket_, 1'024) == 0);
  }
  ~ListeningPort() { close(socket_); }
  uint16_t number() const { return static_cast<uint16_t>(reserved_.number()); }

 private:
  const ReservedPort reserved_;
  const int socket_;
};

class DialerTest : public testing::Test {
 protected:
  ~DialerTest() override { names_->Release(); }

  void Start(milliseconds timeout = seconds(60)) { dialer_ = *Dialer::Start(names_, timeout); }
  Dialed Await(const std::shared_ptr<const Dialer::Call>& call) {
    while (!call->done()) std::this_thread::yield();
    return call->dialed();
  }
  Dialed Dial(const std::string& host, uint16_t port,
              Dialer::Purpose purpose = Dialer::Purpose::kAddress, const std::string& not_at = "") {
    return Await(dialer_->Dial({host, port}, purpose, not_at));
  }

  const std::shared_ptr<FakeNames> names_ = std::make_shared<FakeNames>();
  std::unique_ptr<Dialer> dialer_;
};

TEST_F(DialerTest, ANamesOnlyAddressIsTakenWithoutATry) {
  Start();
  names_->Set("engine", {"fd00::7"});
  EXPECT_EQ(Dial("engine", 5557).endpoint, "tcp://[fd00::7]:5557");
}

TEST_F(DialerTest, OfSeveralAddressesTheOneThatAnswersIsTaken) {
  const ListeningPort port;
  const std::string expected = TextOf({"127.0.0.1", port.number()});
  Start();
  for (const std::vector<std::string>& addresses :
       std::vector<std::vector<std::string>>{{"::1", "127.0.0.1"}, {"127.0.0.1", "::1"}}) {
    names_->Set("localhost", addresses);
    EXPECT_EQ(Dial("localhost", port.number()).endpoint, expected);
  }
}

TEST_F(DialerTest, WhatWasNoEngineIsTakenOnlyIfNothingElseAnswers) {
  const ListeningPort port;
  Start();
  const std::string stranger = TextOf({"127.0.0.1", port.number()});
  names_->Set("engine", {"127.0.0.1", "127.0.0.1"});
  EXPECT_EQ(Dial("engine", port.number(), Dialer::Purpose::kAddress, stranger).endpoint, stranger);
}

TEST_F(DialerTest, EachTroubleIsTold) {
  const ReservedPort closed;
  const auto port = static_cast<uint16_t>(closed.number());
  Start();
  EXPECT_EQ(Dial("no-such-host", 1).trouble, ConnectTrouble::kNoSuchHost);
  EXPECT_EQ(Dial("127.0.0.1", port, Dialer::Purpose::kDiagnosis).trouble, ConnectTrouble::kRefused);
  names_->Set("both", {"::1", "127.0.0.1"});
  EXPECT_EQ(Dial("both", port).trouble, ConnectTrouble::kRefused);
  EXPECT_EQ(Dial("both", port).endpoint, "");
}

TEST_F(DialerTest, ANameMayStandForAllowedAddressesOnly) {
  const NetworkList networks = *NetworkList::Parse("10.0.0.0/8, 127.0.0.0/8");
  const ListeningPort port;
  Start();
  const auto dial = [&](const std::string& host) {
    return Await(dialer_->Dial({host, port.number()}, Dialer::Purpose::kAddress, "", &networks));
  };
  names_->Set("metadata", {"169.254.169.254"});
  EXPECT_EQ(dial("metadata").trouble, ConnectTrouble::kNotAllowed);
  EXPECT_EQ(dial("metadata").endpoint, "");
  EXPECT_EQ(dial("169.254.169.254").trouble, ConnectTrouble::kNotAllowed);
  names_->Set("mixed", {"169.254.169.254", "10.0.0.7"});
  EXPECT_EQ(dial("mixed").endpoint, TextOf({"10.0.0.7", port.number()}));
  names_->Set("two", {"192.168.0.1", "127.0.0.1", "127.0.0.1"});
  EXPECT_EQ(dial("two").endpoint, TextOf({"127.0.0.1", port.number()}));
}

TEST_F(DialerTest, ANameServerThatDoesNotAnswerIsGivenUp) {
  Start(milliseconds(20));
  EXPECT_EQ(Dial("silent", 1).trouble, ConnectTrouble::kNameServer);
}

TEST_F(DialerTest, NobodyWaitsBehindSilentNames) {
  const ListeningPort port;
  Start();
  names_->Set("engine", {"127.0.0.1"});
  std::vector<std::shared_ptr<const Dialer::Call>> silent;
  for (size_t i = 0; i + 1 < limits::kMaxNameLookups; ++i) {
    silent.push_back(dialer_->Dial({"silent-" + std::to_string(i), 1}, Dialer::Purpose::kAddress));
  }
  EXPECT_EQ(Dial("engine", port.number()).trouble, ConnectTrouble::kNone);
  EXPECT_EQ(Dial("127.0.0.1", port.number(), Dialer::Purpose::kDiagnosis).trouble,
            ConnectTrouble::kNone);
  for (const auto& call : silent) EXPECT_FALSE(call->done());
}

TEST_F(DialerTest, MoreThanHaveTheirTurnsAtATimeAllGetThem) {
  const ListeningPort port;
  Start();
  std::vector<std::shared_ptr<const Dialer::Call>> calls;
  for (size_t i = 0; i < 3 * limits::kMaxDials; ++i) {
    calls.push_back(dialer_->Dial({"127.0.0.1", port.number()}, Dialer::Purpose::kDiagnosis));
  }
  for (const auto& call : calls) EXPECT_EQ(Await(call).trouble, ConnectTrouble::kNone);
}

TEST_F(DialerTest, ItEndsWhileANameServerIsStillAsked) {
  Start();
  const auto call = dialer_->Dial({"silent", 1}, Dialer::Purpose::kAddress);
  names_->AwaitAsked(1);
  dialer_.reset();
  EXPECT_FALSE(call->done());
}

TEST(SystemNamesTest, KnowsLiteralAddressesAndLocalhost) {
  const auto names = NameService::System();
  EXPECT_EQ(names->AddressesOf("127.0.0.1").addresses, std::vector<std::string>{"127.0.0.1"});
  EXPECT_EQ(names->AddressesOf("::1").addresses, std::vector<std::string>{"::1"});
  const NameAnswer localhost = names->AddressesOf("localhost");
  EXPECT_EQ(localhost.trouble, ConnectTrouble::kNone);
  EXPECT_FALSE(localhost.addresses.empty());
}

}  // namespace
}  // namespace kvroute
