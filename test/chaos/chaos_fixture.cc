#include "test/chaos/chaos_fixture.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kvroute {
namespace {

using testing_support::ServerProcess;

constexpr char kModel[] = "chaos";
constexpr uint32_t kBlockSize = 4;
constexpr std::chrono::seconds kPatience{120};

// KVROUTE_TEST_SEED repeats a run.
uint64_t Seed() {
  const char* given = std::getenv("KVROUTE_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

}  // namespace

ChaosTest::ChaosTest() : seed_(Seed()), random_(seed_) {
  std::printf("KVROUTE_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed_));
}

ChaosTest::~ChaosTest() = default;

void ChaosTest::StartServer(std::vector<std::string> flags) {
  for (const char* setting :
       {"ingest.replay_timeout=1s", "ingest.reconnect_min=20ms", "ingest.reconnect_max=200ms"}) {
    flags.insert(flags.begin(), {"--set", setting});
  }
  auto server = ServerProcess::Start(flags);
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  api_ = std::make_unique<ApiClient>(server_->grpc_address());
}

ChaosEngine& ChaosTest::AddEngine(const std::string& id, ChaosEngineOptions options) {
  options.seed = random_();
  options.block_size_tokens = kBlockSize;
  options.model_stream = StreamId(static_cast<uint32_t>(engines_.size() + 1));
  options.sockets.topic_in_replay = options.format.style != WireStyle::kSglangMap;
  auto& engine = engines_[id];
  engine = std::make_unique<ChaosEngine>(&context_, options, &model_);
  return *engine;
}

void ChaosTest::Register(const std::string& id) {
  Register(id, engine(id).sockets().event_endpoint(), engine(id).sockets().replay_endpoint());
}

void ChaosTest::Register(const std::string& id, const std::string& event_endpoint,
                         const std::string& replay_endpoint) {
  v1::Worker worker;
  worker.set_worker_id(id);
  worker.set_address("http://" + id);
  worker.set_model(kModel);
  worker.set_engine(std::string(EngineKindName(EngineKindOf(engine(id).options().format.style))));
  worker.set_block_size_tokens(kBlockSize);
  worker.set_event_endpoint(event_endpoint);
  worker.set_replay_endpoint(replay_endpoint);
  const absl::Status status = api_->Register(worker);
  ASSERT_TRUE(status.ok()) << status;
}

bool ChaosTest::WaitFor(const std::string& what, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    for (auto& [id, engine] : engines_) {
      if (engine->serving()) engine->sockets().Serve(std::chrono::milliseconds(1));
    }
    if (std::chrono::steady_clock::now() > deadline || HasFatalFailure()) {
      ADD_FAILURE() << "waited in vain: " << what << "\n" << Describe() << server_->Log();
      return false;
    }
  }
  return true;
}

v1::StreamState ChaosTest::State(const std::string& id) {
  const auto list = api_->List();
  if (!list.ok()) {
    ADD_FAILURE() << list.status() << "\n" << server_->Log();
    return {};
  }
  for (const v1::WorkerStatus& worker : list->workers()) {
    if (worker.worker().worker_id() == id && worker.streams_size() > 0) return worker.streams(0);
  }
  return {};
}

bool ChaosTest::WaitUntilExact(const std::string& id) {
  return WaitFor(id + " exact", [&] {
    const v1::StreamState state = State(id);
    return state.trust() == v1::TRUST_EXACT && state.next_seq() == engine(id).sockets().next_seq();
  });
}

bool ChaosTest::WaitUntilDegraded(const std::string& id, const std::string& reason) {
  return WaitFor(absl::StrCat(id, " degraded: ", reason), [&] {
    const v1::StreamState state = State(id);
    return state.trust() == v1::TRUST_DEGRADED && state.trust_reason() == reason;
  });
}

void ChaosTest::StartWith(const std::vector<std::string>& ids, int steps,
                          const std::vector<std::string>& flags) {
  StartServer(flags);
  for (const std::string& id : ids) {
    if (!engines_.contains(id)) AddEngine(id);
    engine(id).Steps(steps / 2);
    ASSERT_NO_FATAL_FAILURE(Register(id));
  }
  for (const std::string& id : ids) {
    ASSERT_TRUE(WaitUntilExact(id));
    engine(id).Steps(steps / 2);
    ASSERT_TRUE(WaitUntilExact(id));
  }
  ExpectAnswersEqualModel(ids);
}

// A stretch of a chain, often one that leaves it somewhere and often with a partial last block.
std::vector<TokenId> ChaosTest::RandomPrompt() {
  const size_t length = random_() % (26 * kBlockSize) + 1;
  std::vector<TokenId> prompt = ChaosTokens(random_() % 8, length);
  if (random_() % 3 == 0) prompt[random_() % length] += 1;
  return prompt;
}

absl::StatusOr<ChaosTest::Asked> ChaosTest::Ask() {
  const std::vector<TokenId> prompt = RandomPrompt();
  Asked asked;
  asked.prompt_tokens = prompt.size();
  std::vector<PrefixHash> hashes;
  HashPrompt(prompt, kBlockSize, MakeNamespaceSeed("", ""), &hashes);
  MatchResult truth;
  model_.Match(hashes, &truth);
  for (const StreamMatch& match : truth.matches)
    asked.expected[match.stream.value()] = match.blocks;

  v1::ScoreRequest request;
  request.set_model(kModel);
  request.mutable_prompt()->mutable_token_ids()->Add(prompt.begin(), prompt.end());
  const auto response = api_->Score(request);
  if (!response.ok()) return response.status();
  for (const v1::Match& match : response->matches()) {
    asked.answers[match.target().worker_id()] = match;
  }
  return asked;
}

void ChaosTest::ExpectAnswersEqualModel(const std::vector<std::string>& ids, int prompts) {
  for (int i = 0; i < prompts; ++i) {
    auto asked = Ask();
    ASSERT_TRUE(asked.ok()) << asked.status();
    for (const std::string& id : ids) {
      ASSERT_TRUE(asked->answers.contains(id)) << id;
      EXPECT_EQ(asked->answers[id].trust(), v1::TRUST_EXACT) << id;
      EXPECT_EQ(asked->answers[id].matched_blocks(),
                asked->expected[engine(id).options().model_stream.value()])
          << id << ", prompt " << i << " of " << asked->prompt_tokens << " tokens";
    }
  }
  if (HasFailure()) std::printf("%s%s", Describe().c_str(), server_->Log().c_str());
}

int ChaosTest::CompareSettledAnswers(const std::vector<std::string>& ids, int prompts) {
  int compared = 0;
  for (int i = 0; i < prompts; ++i) {
    auto asked = Ask();
    if (!asked.ok()) {
      ADD_FAILURE() << asked.status();
      return compared;
    }
    for (const std::string& id : ids) {
      const v1::Match& match = asked->answers[id];
      if (match.trust() != v1::TRUST_EXACT) continue;
      if (match.next_seq() != engine(id).sockets().next_seq()) continue;
      ++compared;
      EXPECT_EQ(match.matched_blocks(), asked->expected[engine(id).options().model_stream.value()])
          << id << " says " << match.trust_reason() << ", prompt of " << asked->prompt_tokens
          << " tokens";
    }
  }
  return compared;
}

std::string ChaosTest::Describe() {
  std::string text;
  for (const auto& [id, engine] : engines_) {
    const v1::StreamState state = State(id);
    absl::StrAppendFormat(
        &text,
        "%s: %s (%s), connected %d, next %d of %d, gaps %d, restarts %d, replays %d, skipped %d, "
        "rejected %d\n",
        id, v1::Trust_Name(state.trust()), state.trust_reason(), state.connected(),
        state.next_seq(), engine->sockets().next_seq(), state.gaps(), state.restarts(),
        state.replays(), state.skipped_events(), state.rejected_batches());
  }
  return text;
}

}  // namespace kvroute
