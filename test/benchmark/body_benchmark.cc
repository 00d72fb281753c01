// From the JSON body of a request to its prompt: as text (views of it), and as token ids. The floor
// reads every byte once: it checks that the body is UTF-8 in the plainest loop that looks at eight
// bytes at a time, and finds nothing.
#include <benchmark/benchmark.h>

#include <cstring>
#include <random>
#include <string>

#include "indexer/base/check.h"
#include "router/prompt/request_body.h"

namespace kvroute {
namespace {

// Text as people and programs write it: words, and now and then something that JSON escapes.
std::string SomeText(size_t bytes) {
  std::mt19937_64 random(7);
  std::string text;
  while (text.size() < bytes) {
    for (size_t letters = 2 + random() % 9; letters > 0; --letters) {
      text += static_cast<char>('a' + random() % 26);
    }
    text += random() % 24 == 0 ? "\\n" : random() % 60 == 0 ? "\\\"" : " ";
  }
  return text;
}

std::string ChatBody(size_t bytes) {
  std::string body = R"({"model":"llama-3-70b","stream":true,"messages":[)";
  for (size_t turn = 0; turn < 8; ++turn) {
    if (turn > 0) body += ',';
    body += turn % 2 == 0 ? R"({"role":"user","content":")" : R"({"role":"assistant","content":")";
    body += SomeText(bytes / 8) + "\"}";
  }
  return body + R"(],"temperature":0.7,"max_tokens":512})";
}

std::string TokenBody(size_t bytes) {
  std::mt19937_64 random(7);
  std::string body = R"({"model":"llama-3-70b","prompt":[1)";
  while (body.size() < bytes) {
    body += ',';
    body += std::to_string(random() % 151'643);
  }
  return body + "]}";
}

void ReadBodies(benchmark::State& state, std::string_view path, const std::string& json) {
  const PaddedText text(json);
  RequestBodyReader reader;
  RequestBody body;
  for (auto _ : state) {
    reader.Read({path, ""}, text, &body);
    benchmark::DoNotOptimize(body.raw_prompt.data());
  }
  KVROUTE_CHECK(body.unscored == Unscored::kNo);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * json.size()));
}

void BodyToText(benchmark::State& state) {
  ReadBodies(state, "/v1/chat/completions", ChatBody(static_cast<size_t>(state.range(0))));
}
void BodyToTokens(benchmark::State& state) {
  ReadBodies(state, "/v1/completions", TokenBody(static_cast<size_t>(state.range(0))));
}

void BodyFloor(benchmark::State& state) {
  const std::string json = ChatBody(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    uint64_t high = 0;
    for (size_t at = 0; at + 8 <= json.size(); at += 8) {
      uint64_t word;
      std::memcpy(&word, json.data() + at, 8);
      high |= word;
    }
    benchmark::DoNotOptimize(high);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * json.size()));
}

#define KVROUTE_BODY_SIZES \
  ->ArgName("bytes")->Arg(1 << 10)->Arg(32 << 10)->Arg(400 << 10)->Arg(8 << 20)
BENCHMARK(BodyToText) KVROUTE_BODY_SIZES;
BENCHMARK(BodyToTokens) KVROUTE_BODY_SIZES;
BENCHMARK(BodyFloor) KVROUTE_BODY_SIZES;

}  // namespace
}  // namespace kvroute
