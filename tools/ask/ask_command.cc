#include "tools/ask/ask_command.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/read_file.h"
#include "tools/ask/prompt_tokens.h"
#include "tools/ask/show.h"
#include "tools/ask/worker_message.h"
#include "tools/client/api_client.h"
#include "tools/client/server_flags.h"
#include "tools/command_line/command_line.h"

namespace kvroute {
namespace {

constexpr int kTryAgain = 1;
constexpr int kUnusable = 2;
constexpr int kRefused = 3;

// Of every command; each uses what it has flags for.
struct AskFlags {
  ServerFlags server{.server = "127.0.0.1:50051", .security = {}};
  bool json = false;
  std::string word;  // the one that stands without a flag: a worker, a request
  std::string model;
  // A prompt.
  std::string tokens, tokens_file, lora_name, cache_salt, policy, request_id;
  std::vector<std::string> candidates;
  uint32_t runner_ups = 0, expected_output_tokens = 0;
  bool only_matching = false;
  bool undo = false, prefilled = false;
  std::string prompt_tokens, cached_tokens, output_tokens;  // empty: not said
};

using FlagsPtr = std::shared_ptr<AskFlags>;

int Fail(const char* name, const absl::Status& status) {
  std::fprintf(stderr, "kvroute %s: %s\n", name, OneLine(MessageOf(status)).c_str());
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return kUnusable;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
      return kTryAgain;
    default:
      return kRefused;
  }
}

// What a command does with a connected client; its status is the command's.
using Ask = std::function<absl::Status(const ApiClient& api, const AskFlags& flags)>;

int Run(const char* name, const AskFlags& flags, const Ask& ask) {
  const absl::StatusOr<ClientOptions> options = flags.server.Options(ServerFlags::kGrpcPort);
  if (!options.ok()) return Fail(name, options.status());
  const auto api = ApiClient::Create(*options);
  if (!api.ok()) return Fail(name, api.status());
  const auto patience = std::min(options->timeout, ApiClient::kConnectTimeout);
  if (absl::Status status = (*api)->Connect(patience); !status.ok()) return Fail(name, status);
  const absl::Status status = ask(**api, flags);
  return status.ok() ? 0 : Fail(name, status);
}

void Print(const std::string& text) { std::fputs(text.c_str(), stdout); }

// An answer, or why there is none.
template <typename Response>
absl::Status Show(const AskFlags& flags, const absl::StatusOr<Response>& response,
                  const std::function<std::string(const Response&)>& text) {
  if (!response.ok()) return response.status();
  Print(flags.json ? ShowJson(*response) : text(*response));
  return absl::OkStatus();
}

// Of a call that answers nothing.
absl::Status Done(const AskFlags& flags, const absl::Status& status, const char* what) {
  if (!status.ok()) return status;
  Print(flags.json ? "{}\n" : fmt::format("{} {}\n", flags.word, what));
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadTokens(const AskFlags& flags) {
  if (flags.tokens_file.empty() == flags.tokens.empty()) {
    return absl::InvalidArgumentError("--tokens, --tokens-file: one of them must be given");
  }
  if (flags.tokens_file.empty()) return flags.tokens;
  if (flags.tokens_file == "-") {
    return std::string(std::istreambuf_iterator<char>(std::cin), {});
  }
  absl::StatusOr<std::string> text = ReadFile(flags.tokens_file, limits::kMaxGrpcMessageBytes);
  if (!text.ok()) return InvalidArgument("--tokens-file: {}", MessageOf(text.status()));
  return text;
}

// What requests with a prompt have in common.
template <typename Request>
absl::StatusOr<Request> WithPrompt(const AskFlags& flags) {
  const absl::StatusOr<std::string> text = ReadTokens(flags);
  if (!text.ok()) return text.status();
  const auto tokens = ParseTokens(flags.tokens_file.empty() ? "--tokens" : "--tokens-file", *text);
  if (!tokens.ok()) return tokens.status();
  Request request;
  request.set_model(flags.model);
  request.mutable_prompt()->mutable_token_ids()->Add(tokens->begin(), tokens->end());
  request.set_lora_name(flags.lora_name);
  request.set_cache_salt(flags.cache_salt);
  for (const std::string& candidate : flags.candidates) {
    const size_t slash = candidate.rfind('/');
    uint32_t rank = 0;
    if (slash == std::string::npos || !absl::SimpleAtoi(candidate.substr(slash + 1), &rank)) {
      return InvalidArgument("--candidate: \"{}\" is not WORKER/RANK", candidate);
    }
    v1::Target* const target = request.add_candidates();
    target->set_worker_id(candidate.substr(0, slash));
    target->set_rank(rank);
  }
  return request;
}

absl::StatusOr<v1::RouteRequest> RouteRequestOf(const AskFlags& flags) {
  auto request = WithPrompt<v1::RouteRequest>(flags);
  if (!request.ok()) return request;
  request->set_policy(flags.policy);
  request->set_request_id(flags.request_id);
  request->set_runner_ups(flags.runner_ups);
  request->set_expected_output_tokens(flags.expected_output_tokens);
  return request;
}

absl::Status Count(const char* flag, const std::string& text, std::optional<uint64_t>* count) {
  uint64_t number = 0;
  if (text.empty()) return absl::OkStatus();
  if (!absl::SimpleAtoi(text, &number)) {
    return InvalidArgument("{}: \"{}\" is no number of tokens", flag, text);
  }
  *count = number;
  return absl::OkStatus();
}

absl::Status Complete(const ApiClient& api, const AskFlags& flags) {
  v1::CompleteRequest request;
  request.set_request_id(flags.word);
  request.set_progress(flags.prefilled ? v1::CompleteRequest::PROGRESS_PREFILLED
                                       : v1::CompleteRequest::PROGRESS_ENDED);
  std::optional<uint64_t> prompt, cached, output;
  KVROUTE_RETURN_IF_ERROR(Count("--prompt-tokens", flags.prompt_tokens, &prompt));
  KVROUTE_RETURN_IF_ERROR(Count("--cached-tokens", flags.cached_tokens, &cached));
  KVROUTE_RETURN_IF_ERROR(Count("--output-tokens", flags.output_tokens, &output));
  if (prompt) request.set_prompt_tokens(*prompt);
  if (cached) request.set_cached_tokens(*cached);
  if (output) request.set_output_tokens(*output);
  const absl::StatusOr<v1::CompleteResponse> answer = api.Complete(request);
  if (!answer.ok()) return answer.status();
  if (flags.json) Print(ShowJson(*answer));
  if (answer->known()) {
    if (!flags.json)
      Print(fmt::format("{} {}\n", flags.word, flags.prefilled ? "goes on" : "ended"));
    return absl::OkStatus();
  }
  return Error(absl::StatusCode::kNotFound,
               "there is no lease of request \"{}\", or it is another client's", flags.word);
}

Command Add(CommandLine* line, const char* name, const char* help, const FlagsPtr& flags,
            const Ask& ask) {
  Command command = line->AddCommand(name, help);
  flags->server.AddServer(&command, "", "kvroute's gRPC address: HOST:PORT, a URL or unix:/PATH");
  flags->server.AddSecurity(&command);
  command.AddFlag("--json", &flags->json, "print the answer as one JSON object");
  command.SetAction([name, flags, ask] { return Run(name, *flags, ask); });
  return command;
}

void AddPrompt(Command* command, AskFlags* flags) {
  command->AddOption("--model", &flags->model, "which workers; empty: there is only one model");
  command->AddOption("--tokens", &flags->tokens, "the prompt's token ids: 1,2,3");
  command->AddOption("--tokens-file", &flags->tokens_file,
                     "file of them, by commas, spaces or as a JSON list; -: standard input");
  command->AddOption("--lora-name", &flags->lora_name, "LoRA adapter of the prompt");
  command->AddOption("--cache-salt", &flags->cache_salt, "salt of the prompt's cache");
  command
      ->AddOption("--candidate", &flags->candidates,
                  "WORKER/RANK, only these may be chosen; may be repeated")
      .OneValueEachTime();
}

void AddRoute(Command* command, AskFlags* flags) {
  AddPrompt(command, flags);
  command->AddOption(
      "--policy", &flags->policy,
      "work, lmetric, lpwl, prefix, least_loaded, round_robin or random; empty: the server's");
  command->AddOption("--runner-ups", &flags->runner_ups, "how many of the next best to name");
  command->AddOption("--request-id", &flags->request_id, "name of the lease; empty: made up");
  command->AddOption("--expected-output-tokens", &flags->expected_output_tokens, "0: not known");
}

void AddFleetCommands(CommandLine* line) {
  const auto add = [line](const char* name, const char* help, const Ask& ask) {
    const auto flags = std::make_shared<AskFlags>();
    return std::pair(Add(line, name, help, flags, ask), flags.get());
  };
  auto [registers, registered] =
      add("register", "Add a worker to a running kvroute, or replace its registration",
          [](const ApiClient& api, const AskFlags& flags) {
            const absl::StatusOr<v1::Worker> worker = WorkerMessage(flags.word);
            if (!worker.ok()) return worker.status();
            absl::Status status = api.Register(*worker);
            if (!status.ok()) return status;
            Print(flags.json ? "{}\n" : worker->worker_id() + " registered\n");
            return status;
          });
  registers
      .AddOption("WORKER", &registered->word,
                 "id=w0,address=http://..,model=m,events=tcp://..[,replay=tcp://..], as serve "
                 "--worker")
      .Required();
  auto [lists, listed] = add("list", "Print the workers of a running kvroute, a line each rank",
                             [](const ApiClient& api, const AskFlags& flags) {
                               return Show<v1::ListResponse>(
                                   flags, api.List(), [&flags](const v1::ListResponse& fleet) {
                                     return ShowWorkers(fleet, flags.model);
                                   });
                             });
  lists.AddOption("--model", &listed->model, "only its workers (of the text)");
  auto [drains, drained] =
      add("drain", "Give a worker no new requests; what it has it keeps",
          [](const ApiClient& api, const AskFlags& flags) {
            v1::SetDrainingRequest request;
            request.set_worker_id(flags.word);
            request.set_draining(!flags.undo);
            return Done(flags, api.SetDraining(request), flags.undo ? "serves again" : "drains");
          });
  drains.AddOption("WORKER", &drained->word, "its id").Required();
  drains.AddFlag("--undo", &drained->undo, "give it requests again");
  auto [deregisters, deregistered] =
      add("deregister", "Take a worker away from a running kvroute",
          [](const ApiClient& api, const AskFlags& flags) {
            return Done(flags, api.Deregister(flags.word), "deregistered");
          });
  deregisters.AddOption("WORKER", &deregistered->word, "its id").Required();
}

void AddPromptCommands(CommandLine* line) {
  const auto route = std::make_shared<AskFlags>(), score = std::make_shared<AskFlags>(),
             explain = std::make_shared<AskFlags>(), complete = std::make_shared<AskFlags>();
  Command routes = Add(line, "route", "Ask where a prompt should go, and take a lease there", route,
                       [](const ApiClient& api, const AskFlags& flags) {
                         const auto request = RouteRequestOf(flags);
                         if (!request.ok()) return request.status();
                         return Show<v1::RouteResponse>(flags, api.Route(*request), ShowRoute);
                       });
  AddRoute(&routes, route.get());
  Command scores = Add(line, "score", "Ask which workers hold how much of a prompt", score,
                       [](const ApiClient& api, const AskFlags& flags) {
                         auto request = WithPrompt<v1::ScoreRequest>(flags);
                         if (!request.ok()) return request.status();
                         request->set_only_matching(flags.only_matching);
                         return Show<v1::ScoreResponse>(flags, api.Score(*request), ShowScores);
                       });
  AddPrompt(&scores, score.get());
  scores.AddFlag("--only-matching", &score->only_matching, "leave out workers without a match");
  Command explains =
      Add(line, "explain", "Ask why a prompt would go where it would; takes no lease", explain,
          [](const ApiClient& api, const AskFlags& flags) {
            const auto request = RouteRequestOf(flags);
            if (!request.ok()) return request.status();
            return Show<v1::ExplainResponse>(flags, api.Explain(*request), ShowExplanation);
          });
  AddRoute(&explains, explain.get());
  Command completes = Add(line, "complete", "Tell that a routed request made progress or ended",
                          complete, Complete);
  completes.AddOption("REQUEST", &complete->word, "its id, as route said").Required();
  completes.AddFlag("--prefilled", &complete->prefilled, "its first token is out; it goes on");
  completes.AddOption("--prompt-tokens", &complete->prompt_tokens, "as the engine's usage says");
  completes.AddOption("--cached-tokens", &complete->cached_tokens, "of them, from its cache");
  completes.AddOption("--output-tokens", &complete->output_tokens, "generated");
}

}  // namespace

void AddAskCommands(CommandLine* command_line) {
  AddFleetCommands(command_line);
  AddPromptCommands(command_line);
}

}  // namespace kvroute
