// The real `kvroute serve` process: asked over gRPC and HTTP, told by a ZeroMQ publisher, ended by
// signals.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "indexer/event/block_hasher.h"
#include "indexer/event/event_encoder.h"
#include "kvroute/v1/fleet.grpc.pb.h"
#include "kvroute/v1/router.grpc.pb.h"
#include "test/support/child_process.h"
#include "test/support/http_client.h"
#include "tools/publisher/zmq_publisher.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::StartsWith;
using testing_support::HttpGet;

using Arguments = std::vector<std::string>;

// A serving process on free ports of the loopback.
class Served {
 public:
  explicit Served(const Arguments& more = {}) : process(WithPorts(more)) {
    const std::string line = process.ReadLine();
    grpc_port = ChildProcess::PortOf(line, "grpc");
    http_port = ChildProcess::PortOf(line, "http");
    EXPECT_THAT(line, StartsWith("kvroute: serving grpc=127.0.0.1:")) << process.ReadStderr();
  }

  std::shared_ptr<grpc::Channel> Channel(
      std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials()) {
    // By address: c-ares leaks the names that gRPC has it resolve.
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride("localhost");
    return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", grpc_port), credentials, arguments);
  }
  nlohmann::json Status() const {
    return nlohmann::json::parse(HttpGet(http_port, "/status").body, nullptr, false);
  }

  ChildProcess process;
  int grpc_port = 0;
  int http_port = 0;

 private:
  static Arguments WithPorts(const Arguments& more) {
    Arguments all = {"serve", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

// Asks again until it is so; false when it is not within 60 s. Every question is a round trip to
// the process.
bool Eventually(const std::function<bool()>& is_so) {
  const auto deadline = std::chrono::steady_clock::now() + seconds(120);
  while (std::chrono::steady_clock::now() < deadline) {
    if (is_so()) return true;
  }
  return false;
}

// One engine: publishes blocks of four tokens and answers replay requests.
class Engine {
 public:
  Engine() : publisher_(*ZmqPublisher::Create(&context_, {})) {}

  void Store(const std::vector<TokenId>& tokens) {
    BlockHasher hasher(HashSchemeOf(WireStyle::kVllmMap));
    std::vector<Digest> hashes;
    for (size_t i = 0; i + 4 <= tokens.size(); i += 4) {
      const Digest* parent = hashes.empty() ? nullptr : &hashes.back();
      const Digest hash = hasher.Hash(parent, absl::MakeSpan(tokens).subspan(i, 4));
      hashes.push_back(hash);
    }
    EventEncoder encoder({});
    StoredBlocks blocks;
    blocks.hashes = hashes;
    blocks.token_ids = tokens;
    blocks.block_size_tokens = 4;
    encoder.Stored(blocks);
    std::string payload;
    encoder.Finish(1.0, 0, &payload);
    publisher_->Publish(payload);
  }
  void Serve() { publisher_->Serve(milliseconds(10)); }
  const ZmqPublisher& publisher() const { return *publisher_; }

 private:
  ZmqContext context_;
  std::unique_ptr<ZmqPublisher> publisher_;
};

grpc::Status Register(Served* served, const Engine& engine) {
  v1::RegisterRequest request;
  v1::Worker& worker = *request.mutable_worker();
  worker.set_worker_id("w0");
  worker.set_address("http://w0:8000");
  worker.set_model("m");
  worker.set_event_endpoint(engine.publisher().event_endpoint());
  worker.set_replay_endpoint(engine.publisher().replay_endpoint());
  grpc::ClientContext context;
  v1::RegisterResponse response;
  return v1::Fleet::NewStub(served->Channel())->Register(&context, request, &response);
}

grpc::Status List(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + seconds(120));
  v1::ListResponse response;
  return v1::Fleet::NewStub(channel)->List(&context, {}, &response);
}

// A wrong events port, or a firewall in between: the engines serve, and kvroute hears none of them.
TEST(ServeTest, RequestsAreRoutedToWorkersThatAreNotHeard) {
  const std::string worker = ",address=http://w:8000,model=m,block_size=4,events=tcp://127.0.0.1:";
  // Nobody listens on these ports.
  Served served({"--worker", "id=w0" + worker + "1", "--worker", "id=w1" + worker + "2"});
  auto router = v1::Router::NewStub(served.Channel());
  v1::RouteRequest request;
  for (uint32_t token = 0; token < 16; ++token) request.mutable_prompt()->add_token_ids(token);
  std::map<std::string, int> chosen;
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    v1::RouteResponse response;
    const grpc::Status status = router->Route(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(response.chosen().unheard());
    EXPECT_EQ(response.chosen().matched_blocks(), 0u);
    EXPECT_EQ(response.chosen().trust(), v1::TRUST_COLD);
    ++chosen[response.chosen().target().worker_id()];
  }
  EXPECT_EQ(chosen["w0"], 10) << "by their load";
  EXPECT_EQ(chosen["w1"], 10);
  EXPECT_EQ(served.Status()["workers"][0]["streams"][0]["heard"], false);
  const std::string metrics = HttpGet(served.http_port, "/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("kvroute_unheard_decisions_total 20\n"));
  EXPECT_THAT(metrics, HasSubstr("kvroute_streams_unheard 2\n"));
}

TEST(ServeTest, AnEventOfARegisteredEngineIsAnsweredCountedAndEndedCleanly) {
  Engine engine;
  Served served;
  ASSERT_TRUE(Register(&served, engine).ok());
  engine.Store({1, 2, 3, 4, 5, 6, 7, 8});

  auto router = v1::Router::NewStub(served.Channel());
  v1::RouteRequest request;
  for (uint32_t token = 1; token <= 10; ++token) request.mutable_prompt()->add_token_ids(token);
  v1::RouteResponse response;
  EXPECT_TRUE(Eventually([&] {
    engine.Serve();
    grpc::ClientContext context;
    return router->Route(&context, request, &response).ok() &&
           response.chosen().trust() == v1::TRUST_EXACT && response.chosen().matched_blocks() == 2;
  })) << response.DebugString()
      << served.Status().dump(2);
  EXPECT_EQ(response.chosen().address(), "http://w0:8000");
  EXPECT_EQ(response.chosen().matched_tokens(), 8u);
  EXPECT_EQ(response.policy(), "work");

  const std::string metrics = HttpGet(served.http_port, "/metrics").body;
  for (const char* sample :
       {"type=\"stored\",outcome=\"applied\"} 1\n", "kvroute_streams{trust=\"exact\"} 1\n",
        "kvroute_index_holdings 2\n", "kvroute_ready 1\n",
        "kvroute_thread_stalled_seconds{thread=\"index-scrub\"} ",
        "kvroute_thread_stalled_seconds{thread=\"grpc-queries\"} ",
        "kvroute_thread_stalled_seconds{thread=\"zmq-io-0\"} ",
        "kvroute_workers{source=\"api\",state=\"serving\"} 1\n"}) {
    EXPECT_THAT(metrics, HasSubstr(sample));
  }
  // One, and one more if it took so long that the silent engine was probed.
  EXPECT_THAT(metrics, ContainsRegex("kvroute_replays_total\\{result=\"complete\"\\} [1-9]"));
  EXPECT_EQ(HttpGet(served.http_port, "/healthz").status, 200);
  EXPECT_EQ(HttpGet(served.http_port, "/readyz").status, 200);
  const nlohmann::json status = served.Status();
  EXPECT_EQ(status["workers"][0]["streams"][0]["trust"], "exact") << status.dump(2);
  EXPECT_EQ(status["index"]["distinct_blocks"], 2);

  ChildProcess top({"top", "--once", "--http", absl::StrCat("127.0.0.1:", served.http_port)});
  EXPECT_THAT(top.ReadLine(), HasSubstr("ready  policy work"));
  EXPECT_THAT(top.ReadLine(), HasSubstr("hit rate "));
  EXPECT_EQ(top.Wait(), 0);

  served.process.Signal(SIGTERM);
  EXPECT_EQ(served.process.Wait(), 0);
}

TEST(ServeTest, UnusableInputIsToldInLinesAndStatusTwo) {
  const Served other;
  const std::string taken = absl::StrCat("127.0.0.1:", other.http_port);
  const std::string taken_grpc = absl::StrCat("127.0.0.1:", other.grpc_port);
  const std::pair<Arguments, std::string> cases[] = {
      {{"--config", "/nonexistent.yaml"}, "kvroute: config /nonexistent.yaml: No such file"},
      {{"--policy", "best"}, "kvroute: --policy: routing.policy: \"best\" is not one of"},
      {{"--worker", "id=a"}, "kvroute: --worker: workers[0].address: is missing"},
      {{"--set", "grpc"}, "kvroute: --set: \"grpc\" is not field.path=value"},
      {{"--http-listen", taken, "--grpc-listen", "127.0.0.1:0"},
       "kvroute: http.listen: cannot listen on"},
      {{"--grpc-listen", taken_grpc}, "kvroute: grpc.listen: "},
      {{"--set", "grpc.tls.certificate_file=/none", "--set", "grpc.tls.key_file=/none",
        "--grpc-listen", "127.0.0.1:0"},
       "kvroute: grpc.tls.certificate_file: /none: No such file"}};
  for (const auto& [arguments, message] : cases) {
    Arguments all = {"serve", "--log-level", "off"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    ChildProcess process(all);
    const bool taken_address = message.find(".listen") != std::string::npos;
    EXPECT_EQ(process.Wait(), taken_address ? 1 : 2) << message;
    const std::string said = process.ReadStderr();
    EXPECT_THAT(said, HasSubstr(message));
    // Every fault of a configuration is told, a line each.
    std::istringstream lines(said);
    for (std::string line; std::getline(lines, line);) EXPECT_THAT(line, StartsWith("kvroute: "));
  }
}

class ServeFilesTest : public testing::Test {
 protected:
  ServeFilesTest() { std::filesystem::create_directories(dir_); }
  ~ServeFilesTest() override { std::filesystem::remove_all(dir_); }

  std::string Path(const std::string& name) const { return dir_ / name; }
  void Replace(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name + ".new")) << text;
    std::filesystem::rename(Path(name + ".new"), Path(name));
  }
  std::string Read(const std::string& name) const {
    std::ifstream in(Path(name));
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  // Runs openssl in the directory.
  void OpenSsl(const std::string& arguments) const {
    const std::string command =
        "cd " + dir_.string() + " && openssl " + arguments + " 2>openssl.log";
    EXPECT_EQ(std::system(command.c_str()), 0) << Read("openssl.log");
  }

  const std::filesystem::path dir_ =
      std::filesystem::path(testing::TempDir()) / ("serve" + std::to_string(getpid()));
};

// Port 9 of the loopback: nobody publishes there, so the stream stays cold.
constexpr char kColdWorker[] =
    "workers:\n- {worker_id: cold, address: x, model: m, event_endpoint: 'tcp://127.0.0.1:9'}\n";

// By an operator's slip, a full disk, or somebody who means harm.
TEST_F(ServeFilesTest, NoFileTakesTheProcessOrItsWorkersAway) {
  Replace("k.yaml", kColdWorker);
  Served served({"--config", Path("k.yaml")});
  const auto failed = [&](int reloads, const std::string& why) {
    EXPECT_TRUE(Eventually([&] { return served.Status()["config"]["reloads_failed"] == reloads; }));
    const nlohmann::json status = served.Status();
    EXPECT_THAT(status["config"]["last_reload_error"].get<std::string>(), HasSubstr(why));
    EXPECT_EQ(status["workers"].size(), 1u);
  };
  std::filesystem::resize_file(Path("k.yaml"), 0);
  failed(1, "k.yaml: is empty");
  Replace("k.yaml", std::string(kColdWorker).substr(0, 40));
  failed(2, "k.yaml: is cut off in the middle of a line");
  Replace("k.yaml", "workers: &x\n- *x\n");
  failed(3, "k.yaml:2: an alias inside of what it stands for");
  Replace("k.yaml", "log: {level: info}\n");
  failed(4, "workers: there is no such list, and that in force names 1");
  std::filesystem::create_symlink("/proc/self/mem", Path("k.new"));
  std::filesystem::rename(Path("k.new"), Path("k.yaml"));
  failed(5, "k.yaml: Input/output error");
  Replace("k.yaml", "workers: []\n");
  // The report comes last of what a reload changes.
  EXPECT_TRUE(Eventually([&] { return served.Status()["config"]["last_reload_error"] == ""; }));
  EXPECT_TRUE(served.Status()["workers"].empty());
}

TEST_F(ServeFilesTest, EditsApplyLiveAndABadOneChangesNothing) {
  Replace("k.yaml", "");
  Served served({"--config", Path("k.yaml")});
  Replace("k.yaml", kColdWorker);
  EXPECT_TRUE(Eventually([&] { return served.Status()["workers"].size() == 1; }));
  Replace("k.yaml", "routing: {policy: best}\n");
  EXPECT_TRUE(Eventually([&] { return served.Status()["config"]["reloads_failed"] == 1; }));
  const nlohmann::json status = served.Status();
  EXPECT_EQ(status["workers"].size(), 1u);
  EXPECT_THAT(status["config"]["last_reload_error"].get<std::string>(),
              HasSubstr("k.yaml:1: routing.policy: \"best\" is not one of"));
  EXPECT_THAT(served.process.ReadStderr(), HasSubstr("k.yaml:1: routing.policy"));
  EXPECT_THAT(HttpGet(served.http_port, "/metrics").body,
              HasSubstr("kvroute_config_reloads_total{result=\"failed\"} 1\n"));

  served.process.Signal(SIGHUP);  // the same text again: still bad
  EXPECT_TRUE(Eventually([&] { return served.Status()["config"]["reloads_failed"] == 2; }));
  Replace("k.yaml", "routing: {policy: random}\ningest: {lanes: 2}\nworkers: []\n");
  EXPECT_TRUE(Eventually([&] { return served.Status()["config"]["last_reload_error"] == ""; }));
  EXPECT_EQ(served.Status()["policy"], "random");
  EXPECT_EQ(served.Status()["config"]["waiting_for_restart"][0], "ingest.lanes");
  EXPECT_EQ(served.Status()["workers"].size(), 0u);
  served.process.Signal(SIGINT);
  EXPECT_EQ(served.process.Wait(), 0);
}

TEST_F(ServeFilesTest, ReadyWhenTheGraceTimeIsOverAndSaysWhoIsMissing) {
  const std::string cold = kColdWorker;
  Replace("k.yaml", cold + "readiness: {grace: 24h}\n");
  Served served({"--config", Path("k.yaml"), "--ready-file", Path("ready")});
  EXPECT_THAT(Read("ready"), StartsWith("kvroute: serving grpc=127.0.0.1:"));
  const auto reply = HttpGet(served.http_port, "/readyz");
  EXPECT_EQ(reply.status, 503);
  EXPECT_THAT(reply.body, HasSubstr("cold rank 0: cold"));
  Replace("k.yaml", cold + "readiness: {grace: 0}\n");
  EXPECT_TRUE(Eventually([&] { return HttpGet(served.http_port, "/readyz").status == 200; }));
}

TEST_F(ServeFilesTest, TlsAndMutualTlsLetInOnlyWhoShowsWhatIsAsked) {
  OpenSsl(
      "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=ca "
      "-keyout ca.key -out ca.pem");
  for (const std::string name : {"server", "client"}) {
    std::ofstream(Path("san")) << "subjectAltName=DNS:localhost\n";
    OpenSsl("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=" + name +
            " -keyout " + name + ".key -out " + name + ".csr");
    OpenSsl("x509 -req -days 2 -in " + name +
            ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile san -out " + name + ".pem");
  }
  const Arguments tls = {"--set", "grpc.tls.certificate_file=" + Path("server.pem"), "--set",
                         "grpc.tls.key_file=" + Path("server.key")};
  const auto anonymous = grpc::SslCredentials(
      {.pem_root_certs = Read("ca.pem"), .pem_private_key = "", .pem_cert_chain = ""});
  const auto known = grpc::SslCredentials({.pem_root_certs = Read("ca.pem"),
                                           .pem_private_key = Read("client.key"),
                                           .pem_cert_chain = Read("client.pem")});
  {
    Served served(tls);
    EXPECT_TRUE(List(served.Channel(anonymous)).ok());
    EXPECT_EQ(List(served.Channel()).error_code(), grpc::StatusCode::UNAVAILABLE);
  }
  Arguments mutual = tls;
  mutual.insert(mutual.end(), {"--set", "grpc.tls.client_ca_file=" + Path("ca.pem")});
  {
    Served served(mutual);
    EXPECT_TRUE(List(served.Channel(known)).ok());
    EXPECT_EQ(List(served.Channel(anonymous)).error_code(), grpc::StatusCode::UNAVAILABLE);
  }
  const std::pair<std::string, std::string> wrong[] = {
      {"grpc.tls.key_file=" + Path("client.key"), "client.key: not the key of the certificate in"},
      {"grpc.tls.key_file=" + Path("ca.pem"), "ca.pem: no unencrypted private key in PEM"},
      {"grpc.tls.certificate_file=" + Path("server.key"), "server.key: no certificate in PEM"}};
  for (const auto& [setting, message] : wrong) {
    Arguments arguments = {"serve", "--log-level", "off", "--grpc-listen", "127.0.0.1:0"};
    arguments.insert(arguments.end(), tls.begin(), tls.end());
    arguments.insert(arguments.end(), {"--set", setting});
    ChildProcess process(arguments);
    EXPECT_EQ(process.Wait(), 2);
    EXPECT_THAT(process.ReadStderr(), HasSubstr(message));
  }
}

}  // namespace
}  // namespace kvroute
