#include "tools/workload/trace.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"
#include "indexer/base/limits.h"
#include "tools/workload/random.h"

namespace kvroute {
namespace {

using Json = nlohmann::json;

// Long values are cut: the place names the line, the value only has to be recognised.
std::string Shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

class LineReader {
 public:
  LineReader(const std::string& path, size_t line) : path_(path), line_(line) {}

  absl::Status Error(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(path_, ":", line_, ": ", what));
  }

  absl::StatusOr<TraceRequest> Read(const std::string& text) const;

 private:
  absl::StatusOr<uint64_t> Integer(const Json& object, const char* field, uint64_t least,
                                   uint64_t most) const;
  absl::Status ReadHashIds(const Json& object, TraceRequest* request) const;

  const std::string& path_;
  const size_t line_;
};

absl::StatusOr<uint64_t> LineReader::Integer(const Json& object, const char* field, uint64_t least,
                                             uint64_t most) const {
  const auto member = object.find(field);
  if (member == object.end()) return Error(absl::StrCat(field, ": missing"));
  const bool usable = member->is_number_unsigned();
  const uint64_t value = usable ? member->get<uint64_t>() : 0;
  if (!usable || value < least || value > most) {
    return Error(
        absl::StrCat(field, ": ", Shown(*member), " is not an integer from ", least, " to ", most));
  }
  return value;
}

absl::Status LineReader::ReadHashIds(const Json& object, TraceRequest* request) const {
  const auto member = object.find("hash_ids");
  if (member == object.end()) return Error("hash_ids: missing");
  if (!member->is_array())
    return Error(absl::StrCat("hash_ids: ", Shown(*member), " is not an array"));
  const size_t expected = (request->input_length + kTraceBlockTokens - 1) / kTraceBlockTokens;
  if (member->size() != expected) {
    return Error(absl::StrCat("hash_ids: ", member->size(), " ids, but input_length ",
                              request->input_length, " takes ", expected, " of ", kTraceBlockTokens,
                              " tokens"));
  }
  request->hash_ids.reserve(expected);
  for (const Json& id : *member) {
    if (!id.is_number_unsigned()) {
      return Error(absl::StrCat("hash_ids[", request->hash_ids.size(), "]: ", Shown(id),
                                " is not an integer of 0 or more"));
    }
    request->hash_ids.push_back(TraceBlockId(id.get<uint64_t>()));
  }
  return absl::OkStatus();
}

absl::StatusOr<TraceRequest> LineReader::Read(const std::string& text) const {
  const Json object = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return Error("not a JSON object");
  TraceRequest request;
  const auto timestamp = Integer(object, "timestamp", 0, limits::kMaxTraceTimestampMs);
  if (!timestamp.ok()) return timestamp.status();
  const auto input = Integer(object, "input_length", 1, limits::kMaxPromptTokens);
  if (!input.ok()) return input.status();
  const auto output = Integer(object, "output_length", 1, limits::kMaxPromptTokens);
  if (!output.ok()) return output.status();
  request.timestamp_ms = static_cast<int64_t>(*timestamp);
  request.input_length = static_cast<uint32_t>(*input);
  request.output_length = static_cast<uint32_t>(*output);
  if (absl::Status status = ReadHashIds(object, &request); !status.ok()) return status;
  return request;
}

}  // namespace

absl::StatusOr<std::vector<TraceRequest>> ReadTrace(const std::string& path, size_t max_requests) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be opened"));
  std::vector<TraceRequest> requests;
  std::string text;
  for (size_t line = 1; std::getline(file, text); ++line) {
    if (text.empty()) continue;
    const LineReader reader(path, line);
    absl::StatusOr<TraceRequest> request = reader.Read(text);
    if (!request.ok()) return request.status();
    if (!requests.empty() && request->timestamp_ms < requests.back().timestamp_ms) {
      return reader.Error(absl::StrCat("timestamp: ", request->timestamp_ms,
                                       " is before the previous request's ",
                                       requests.back().timestamp_ms));
    }
    requests.push_back(*std::move(request));
    if (requests.size() == max_requests) break;
  }
  if (file.bad()) return absl::DataLossError(absl::StrCat(path, ": cannot be read to its end"));
  if (requests.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": no requests"));
  return requests;
}

TokenId TraceToken(TraceBlockId id, uint32_t position) {
  const uint64_t mixed = MixBits(id.value() * kTraceBlockTokens + position);
  return static_cast<TokenId>(((mixed >> 32) * kVocabularyTokens) >> 32);
}

void ExpandPrompt(const TraceRequest& request, std::vector<TokenId>* tokens) {
  tokens->reserve(tokens->size() + request.input_length);
  uint32_t left = request.input_length;
  for (const TraceBlockId id : request.hash_ids) {
    const uint32_t count = std::min(left, kTraceBlockTokens);
    for (uint32_t position = 0; position < count; ++position) {
      tokens->push_back(TraceToken(id, position));
    }
    left -= count;
  }
  KVROUTE_CHECK(left == 0);
}

void ExpandOutput(const TraceRequest& request, uint64_t request_number,
                  std::vector<TokenId>* tokens) {
  tokens->reserve(tokens->size() + request.output_length);
  // The ids of unique outputs have the top bit set: a trace does not use those.
  const uint64_t unique = (uint64_t{1} << 63) | (MixBits(request_number) >> 1);
  for (uint32_t i = 0; i < request.output_length; ++i) {
    TraceBlockId id(unique + i / kTraceBlockTokens);
    uint32_t position = i % kTraceBlockTokens;
    if (request.output_continues) {
      const uint32_t at = request.input_length + i;
      const size_t block = at / kTraceBlockTokens;
      position = at % kTraceBlockTokens;
      id = block < request.hash_ids.size()
               ? request.hash_ids[block]
               : request.continuation_ids[block - request.hash_ids.size()];
    }
    tokens->push_back(TraceToken(id, position));
  }
}

}  // namespace kvroute
