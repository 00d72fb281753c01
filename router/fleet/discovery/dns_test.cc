#include "router/fleet/discovery/dns.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "indexer/base/check.h"
#include "router/fleet/discovery/service_records.h"
#include "test/support/fake_names.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using Ids = std::vector<std::string>;

class DnsTest : public testing::Test {
 protected:
  ~DnsTest() override {
    addresses_->Release();
    services_->Release();
  }

  void Start(std::vector<std::string> names, milliseconds grace = milliseconds(300'000)) {
    DnsOptions options;
    options.names = std::move(names);
    options.interval = milliseconds(2);
    options.not_ready_grace = grace;
    options.addresses = addresses_;
    options.services = services_;
    options.engines.model = "m";
    found_ = std::make_unique<DnsDiscovery>(options, [this](std::vector<OwnedWorker> workers) {
      Ids ids;
      for (const OwnedWorker& worker : workers) {
        EXPECT_TRUE(ValidateWorker(worker.spec, WorkerSource::kDns).ok());
        ids.push_back(worker.spec.address + (worker.not_ready ? "!" : ""));
      }
      MutexLock lock(&mutex_);
      ids_ = std::move(ids);
      ++published_;
      changed_.NotifyAll();
    });
  }
  void Await(const Ids& ids) {
    MutexLock lock(&mutex_);
    while (published_ == 0 || ids_ != ids) changed_.Wait(&mutex_);
  }
  int published() {
    MutexLock lock(&mutex_);
    return published_;
  }

  const std::shared_ptr<FakeNames> addresses_ = std::make_shared<FakeNames>();
  const std::shared_ptr<FakeNames> services_ = std::make_shared<FakeNames>();
  Mutex mutex_;
  CondVar changed_;
  Ids ids_ ABSL_GUARDED_BY(mutex_);
  int published_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<DnsDiscovery> found_;
};

TEST_F(DnsTest, EveryAddressOfANameIsAnEngine) {
  addresses_->Set("vllm", {"10.0.0.1", "fd00::1"});
  Start({"vllm:8000"});
  Await({"10.0.0.1:8000", "[fd00::1]:8000"});
  addresses_->Set("vllm", {"10.0.0.1", "10.0.0.2", "fd00::1"});
  Await({"10.0.0.1:8000", "10.0.0.2:8000", "[fd00::1]:8000"});
  const int published = this->published();
  const int asked = addresses_->asked();
  addresses_->AwaitAsked(asked + 5);
  EXPECT_EQ(this->published(), published) << "what has not changed is not told";
}

TEST_F(DnsTest, WhatIsNamedNoLongerStaysForTheGrace) {
  addresses_->Set("vllm", {"10.0.0.1", "10.0.0.2"});
  Start({"vllm:8000"});
  Await({"10.0.0.1:8000", "10.0.0.2:8000"});
  addresses_->Set("vllm", {"10.0.0.2"});
  Await({"10.0.0.2:8000", "10.0.0.1:8000!"});
  addresses_->Set("vllm", {"10.0.0.1", "10.0.0.2"});
  Await({"10.0.0.1:8000", "10.0.0.2:8000"});
}

TEST_F(DnsTest, AfterTheGraceItGoes) {
  addresses_->Set("vllm", {"10.0.0.1"});
  Start({"vllm:8000"}, milliseconds(20));
  Await({"10.0.0.1:8000"});
  addresses_->Set("vllm", {});
  Await({});
}

TEST_F(DnsTest, ServiceRecordsNameHostsAndPorts) {
  services_->Set("_http._tcp.vllm", {"pod-0.vllm:8000", "pod-1.vllm:8001"});
  Start({"_http._tcp.vllm"});
  Await({"pod-0.vllm:8000", "pod-1.vllm:8001"});
}

TEST_F(DnsTest, WhileNobodyAnswersNothingChanges) {
  Start({"silent:8000"});
  addresses_->AwaitAsked(1);
  while (found_->counts().failures < 3) sched_yield();  // it is not asked again meanwhile
  EXPECT_EQ(addresses_->asked(), 1);
  EXPECT_FALSE(found_->counts().up);
  EXPECT_EQ(published(), 0);
  found_.reset();  // and its end waits for nobody
}

TEST(DnsNameTest, HasOneOfTwoForms) {
  for (const char* name : {"h:1", "a.b.c:8000", "_http._tcp.h", "10.0.0.1:80"}) {
    EXPECT_TRUE(CheckDnsName(name).ok()) << name;
  }
  for (const char* name : {"", "h", ":1", "h:0", "h:99999", "h:x", "_http", "a b:1", "a\n:1"}) {
    EXPECT_FALSE(CheckDnsName(name).ok()) << name;
  }
}

// A reply of a name server, put together byte by byte.
std::string SrvReply(const std::vector<std::string>& rdata) {
  std::string reply("\0\0\x81\x80\0\1", 6);
  reply += std::string{0, static_cast<char>(rdata.size()), 0, 0, 0, 0};
  reply += std::string("\5_http\4_tcp\1x\0\0\x21\0\1", 18);
  for (const std::string& data : rdata) {
    reply += std::string("\xc0\x0c\0\x21\0\1\0\0\0\5\0", 11);
    reply += static_cast<char>(data.size());
    reply += data;
  }
  return reply;
}

TEST(ServiceRecordsTest, ARecordIsReadWithItsPort) {
  const std::string good("\0\1\0\1\x1f\x40\5pod-0\1x\0", 15);
  const NameAnswer answer = ServiceRecords::ReadReply(SrvReply({good, good}));
  EXPECT_EQ(answer.trouble, ConnectTrouble::kNone);
  EXPECT_THAT(answer.addresses, ElementsAre("pod-0.x:8000"));
}

TEST(ServiceRecordsTest, WhatIsNoRecordIsPassedOver) {
  const std::string nowhere("\0\1\0\1\x1f\x40\0", 7);
  const std::string loop("\0\1\0\1\x1f\x40\xc0\x2a", 8);  // a name that points at itself
  EXPECT_THAT(ServiceRecords::ReadReply(SrvReply({nowhere, "", "short"})).addresses, IsEmpty());
  EXPECT_THAT(ServiceRecords::ReadReply(SrvReply({loop})).addresses, IsEmpty());
  const std::string whole = SrvReply({std::string("\0\1\0\1\x1f\x40\5pod-0\1x\0", 15)});
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(ServiceRecords::ReadReply(whole.substr(0, size)).addresses, IsEmpty()) << size;
  }
}

}  // namespace
}  // namespace kvroute
