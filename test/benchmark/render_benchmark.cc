// What a render costs kvroute itself, HTTP left out: the body is read, the call made of it, and its
// answer read. The floor copies the body and the answer once each.
#include <benchmark/benchmark.h>

#include <string>

#include "indexer/base/check.h"
#include "router/prompt/render/render_call.h"
#include "router/prompt/render/render_reply.h"
#include "router/prompt/text_memory.h"

namespace kvroute {
namespace {

std::string RenderedBody(size_t bytes) {
  std::string words;
  while (words.size() < bytes) words += "some words of a prompt ";
  return R"({"model":"m","messages":[{"role":"user","content":")" + words + "\"}]}";
}

// As many tokens as text has: one for four bytes.
std::string Answer(size_t bytes) {
  std::string answer = R"({"request_id":"r","token_ids":[1)";
  for (size_t i = 0; i < bytes / 4; ++i) {
    answer += ',';
    answer += std::to_string((i * 7'919) % 151'643);
  }
  return answer + R"(],"features":null,"sampling_params":{"max_tokens":100},"model":"m"})";
}

void Render(benchmark::State& state) {
  const PaddedText text(RenderedBody(static_cast<size_t>(state.range(0))));
  const std::string answer = Answer(static_cast<size_t>(state.range(0)));
  RequestBodyReader reader;
  RequestBody body;
  for (auto _ : state) {
    reader.Read({"/v1/chat/completions", ""}, text, &body);
    std::string json, detail;
    KVROUTE_CHECK(
        MakeRenderCall(RenderPath::kChatRender, body, text.view(), "base", &json, &detail));
    benchmark::DoNotOptimize(json.data());
    const RenderedPrompt prompt = ReadRenderReply(RenderPath::kChatRender, answer);
    KVROUTE_CHECK(prompt.ok());
    benchmark::DoNotOptimize(prompt.token_ids.data());
  }
}

void RenderFloor(benchmark::State& state) {
  const std::string text = RenderedBody(static_cast<size_t>(state.range(0)));
  const std::string answer = Answer(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    std::string out(text), in(answer);
    benchmark::DoNotOptimize(out.data());
    benchmark::DoNotOptimize(in.data());
  }
}

// Where a text's beginning went: what each routed text pays to be remembered.
void RememberText(benchmark::State& state) {
  const PaddedText text(RenderedBody(static_cast<size_t>(state.range(0))));
  RequestBody body;
  ParseRequestBody({"/v1/chat/completions", ""}, text, &body);
  TextMemory memory;
  TextChain chain;
  uint32_t place = 0;
  for (auto _ : state) {
    MakeTextChain(body, &chain);
    memory.Record(chain, ++place % 64);
  }
}

#define KVROUTE_RENDER_SIZES ->ArgName("bytes")->Arg(1 << 10)->Arg(32 << 10)->Arg(400 << 10)
BENCHMARK(Render) KVROUTE_RENDER_SIZES;
BENCHMARK(RenderFloor) KVROUTE_RENDER_SIZES;
BENCHMARK(RememberText) KVROUTE_RENDER_SIZES;

}  // namespace
}  // namespace kvroute
