#include "router/prompt/multimodal_features.h"

#include <algorithm>
#include <optional>

#include "indexer/base/limits.h"
#include "router/prompt/json_text.h"

namespace kvroute {
namespace {

bool ReadInput(std::string_view raw_hash, std::string_view raw_place, MultimodalInput* input) {
  const std::optional<std::string_view> identifier = PlainJsonString(raw_hash);
  std::string_view raw_offset, raw_length;
  ReadJsonFields(raw_place, {{"offset", &raw_offset}, {"length", &raw_length}});
  const std::optional<uint32_t> offset = JsonUint32(raw_offset);
  const std::optional<uint32_t> length = JsonUint32(raw_length);
  if (!identifier || !offset || !length) return false;
  *input = {*identifier, *offset, *length};
  return !identifier->empty() && identifier->size() <= limits::kMaxNamespaceBytes && *length > 0;
}

// The inputs of one modality.
bool ReadModality(std::string_view raw_hashes, std::string_view raw_places,
                  std::vector<MultimodalInput>* inputs) {
  JsonCursor hashes(raw_hashes), places(raw_places);
  std::string_view hash, place;
  while (hashes.NextElement(&hash)) {
    MultimodalInput input;
    if (inputs->size() == limits::kMaxMultimodalInputs || !places.NextElement(&place) ||
        !ReadInput(hash, place, &input)) {
      return false;
    }
    inputs->push_back(input);
  }
  return hashes.ok() && !places.NextElement(&place) && places.ok();
}

bool LieInOrder(const std::vector<MultimodalInput>& inputs, size_t prompt_tokens) {
  uint64_t last_end = 0;
  for (const MultimodalInput& input : inputs) {
    if (input.offset_tokens < last_end) return false;
    last_end = uint64_t{input.offset_tokens} + input.length_tokens;
  }
  return last_end <= prompt_tokens;
}

}  // namespace

bool ReadMultimodalFeatures(std::string_view raw_hashes, std::string_view raw_places,
                            size_t prompt_tokens, std::vector<MultimodalInput>* inputs,
                            std::string* detail) {
  inputs->clear();
  if (raw_hashes.empty() && raw_places.empty()) return true;
  JsonCursor modalities(raw_hashes);
  std::string_view name, hashes;
  size_t count = 0;
  while (modalities.NextField(&name, &hashes)) {
    // Each name looks through all places: a body with thousands of names would make that dear.
    constexpr size_t kMaxModalities = 16;
    std::string_view places;
    ReadJsonFields(raw_places, {{InsideJsonString(name), &places}});
    if (++count > kMaxModalities || !ReadModality(hashes, places, inputs)) {
      *detail = "features: the lists of mm_hashes and mm_placeholders do not fit together";
      return false;
    }
  }
  if (!modalities.ok()) {
    *detail = "features.mm_hashes: must be an object of lists";
    return false;
  }
  std::sort(inputs->begin(), inputs->end(), [](const MultimodalInput& a, const MultimodalInput& b) {
    return a.offset_tokens < b.offset_tokens;
  });
  if (LieInOrder(*inputs, prompt_tokens)) return true;
  *detail = "features.mm_placeholders: they overlap, or end behind the prompt";
  return false;
}

}  // namespace kvroute
