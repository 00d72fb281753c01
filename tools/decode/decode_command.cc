#include "tools/decode/decode_command.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "indexer/base/limits.h"
#include "indexer/event/decoder.h"
#include "tools/command_line/command_line.h"
#include "tools/decode/payload_json.h"

namespace kvroute {
namespace {

struct DecodeFlags {
  std::string engine = "auto";
  std::vector<std::string> files;
};

// Reads up to one byte more than a payload may have, so that one that is too large is seen to be
// so.
absl::StatusOr<std::string> ReadPayload(const std::string& path) {
  const bool is_stdin = path == "-";
  std::FILE* const file = is_stdin ? stdin : std::fopen(path.c_str(), "rb");
  if (file == nullptr) return absl::NotFoundError(std::strerror(errno));
  std::string payload;
  std::vector<char> buffer(size_t{1} << 16);
  while (payload.size() <= limits::kMaxPayloadBytes) {
    const size_t read = std::fread(buffer.data(), 1, buffer.size(), file);
    if (read == 0) break;
    payload.append(buffer.data(), read);
  }
  const int error = std::ferror(file) != 0 ? errno : 0;
  if (!is_stdin) std::fclose(file);
  if (error != 0) return absl::UnavailableError(std::strerror(error));
  return payload;
}

// Prints the line of one payload; false when it was rejected.
bool DecodeFile(const std::string& path, Decoder* decoder) {
  const absl::StatusOr<std::string> payload = ReadPayload(path);
  if (!payload.ok()) {
    const std::string reason = "unreadable: " + std::string(payload.status().message());
    std::puts(RejectedJson(path, reason).c_str());
    return false;
  }
  DecodedBatch batch;
  const DecodeReason reason = decoder->Decode(*payload, &batch);
  const bool ok = reason == DecodeReason::kOk;
  std::puts((ok ? DecodedJson(path, batch) : RejectedJson(path, DecodeReasonName(reason))).c_str());
  return ok;
}

int RunDecode(const DecodeFlags& flags) {
  Decoder decoder(*ParseEngineKind(flags.engine));
  bool all_decoded = true;
  for (const std::string& path : flags.files) all_decoded &= DecodeFile(path, &decoder);
  return all_decoded ? 0 : 1;
}

}  // namespace

void AddDecodeCommand(CommandLine* command_line) {
  Command command = command_line->AddCommand(
      "decode", "Print what KV-cache event payloads mean, one JSON object a payload");
  auto flags = std::make_shared<DecodeFlags>();
  command.AddOption("--engine", &flags->engine, "Whose dialect to assume where it matters")
      .Check([](const std::string& name) {
        return ParseEngineKind(name) ? std::string()
                                     : "not one of auto, vllm, sglang, trtllm, mooncake: " + name;
      })
      .ShowDefault();
  command.AddOption("FILE", &flags->files, "Payload files; - is standard input").Required();
  command.SetFooter(
      "Exit status: 0 all were decoded, 1 one was rejected, 2 the command line is wrong.");
  command.SetAction([flags] { return RunDecode(*flags); });
}

}  // namespace kvroute
