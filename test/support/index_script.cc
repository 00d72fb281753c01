#include "test/support/index_script.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"

namespace kvroute {
namespace {

uint64_t Mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a ^ 0x9e3779b97f4a7c15u) * (b | 1);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64) ^ b;
}

PrefixIndexOptions SmallIndex(uint32_t streams) {
  PrefixIndexOptions options;
  options.max_streams = streams;
  options.secret_seed = 42;
  return options;
}

}  // namespace

IndexScript::IndexScript(const Options& options, Below below)
    : options_(options), below_(std::move(below)), index_(SmallIndex(options.max_streams)) {
  const uint32_t streams = 1 + below_(options_.max_streams);
  for (uint32_t i = 0; i < streams; ++i) streams_.push_back(OpenStream());
}

IndexScript::Stream IndexScript::OpenStream() {
  const CopyMode mode = below_(2) == 0 ? CopyMode::kCounted : CopyMode::kSet;
  const absl::StatusOr<StreamId> id = index_.Open(mode);
  KVROUTE_CHECK(id.ok());
  model_.Open(*id, mode);
  const uint64_t scheme = PickScheme();
  if (options_.sound_schemes) return Stream{*id, scheme};
  return Stream{*id, scheme, below_(16) == 0, below_(16) == 0};
}

uint64_t IndexScript::PickScheme() {
  if (options_.own_schemes) return ++schemes_;
  return below_(4) == 0 ? 1 + below_(2) : 0;
}

// One of the known prompts, or a new one that grows from a part of it.
const IndexScript::Path& IndexScript::PickPath() {
  if (!paths_.empty() && below_(3) != 0) {
    return paths_[below_(static_cast<uint32_t>(paths_.size()))];
  }
  Path path;
  if (!paths_.empty()) {
    const Path& from = paths_[below_(static_cast<uint32_t>(paths_.size()))];
    path.assign(from.begin(), from.begin() + below_(static_cast<uint32_t>(from.size()) + 1));
  }
  const uint32_t growth = 1 + below_(options_.max_growth_blocks);
  for (uint32_t i = 0; i < growth; ++i) {
    path.push_back(LocalHash(Mix(below_(options_.labels) + 1, 77 + path.size() % 8)));
  }
  if (paths_.size() < options_.max_paths) {
    paths_.push_back(std::move(path));
    return paths_.back();
  }
  Path& replaced = paths_[below_(options_.max_paths)];
  replaced = std::move(path);
  return replaced;
}

Tier IndexScript::PickTier() {
  if (options_.offloaded) {
    const uint32_t choice = below_(20);
    if (choice >= 10) return choice < 16 ? Tier::kCpu : Tier::kDisk;
    return Tier::kGpu;
  }
  return below_(8) != 0 ? Tier::kGpu : static_cast<Tier>(below_(kTierCount));
}

std::vector<EngineHash> IndexScript::EngineHashes(const Stream& stream, const Path& path) const {
  std::vector<PrefixHash> prefixes;
  ChainLocals(path, &prefixes);
  std::vector<EngineHash> engines;
  for (size_t i = 0; i < path.size(); ++i) {
    const uint64_t of = stream.broken ? path[i].value() : prefixes[i].value();
    const uint64_t hash = stream.scheme == 0 ? of : Mix(of, stream.scheme);
    engines.emplace_back(stream.zeros && hash % 32 == 0 ? 0 : hash);
  }
  return engines;
}

std::string IndexScript::ApplyStore(const Stream& stream, const StoreRequest& request) {
  const StoreResult got = index_.Store(stream.id, request);
  const StoreResult want = model_.Store(stream.id, request);
  if (got.status == want.status && got.added == want.added && got.duplicate == want.duplicate &&
      got.rebound == want.rebound && got.renamed == want.renamed) {
    return "";
  }
  return absl::StrCat("store of ", request.engine_hashes.size(), " on stream ", stream.id.value(),
                      ": added ", got.added, " duplicate ", got.duplicate, " rebound ", got.rebound,
                      " renamed ", got.renamed, ", the model ", want.added, " ", want.duplicate,
                      " ", want.rebound, " ", want.renamed, "\n");
}

std::string IndexScript::StoreSome(Stream* stream) {
  const Path path = PickPath();
  const std::vector<EngineHash> engines = EngineHashes(*stream, path);
  const auto size = static_cast<uint32_t>(path.size());
  uint32_t begin = below_(3) == 0 ? below_(size) : 0;
  const uint32_t end = below_(3) == 0 ? begin + below_(size - begin + 1) : size;
  const Tier tier = PickTier();
  // In one event, in several, or a block at a time.
  const uint32_t shape = below_(4);
  std::string differs;
  do {
    uint32_t count = end - begin;
    if (shape == 1) count = std::min<uint32_t>(count, 1);
    if (shape == 2) count = std::min<uint32_t>(count, 1 + below_(8));
    StoreRequest request;
    if (begin > 0) request.parent = engines[begin - 1];
    request.engine_hashes = absl::MakeConstSpan(engines).subspan(begin, count);
    request.local_hashes = absl::MakeConstSpan(path).subspan(begin, count);
    request.tier = tier;
    absl::StrAppend(&differs, ApplyStore(*stream, request));
    begin += count;
  } while (begin < end && differs.empty());
  return differs;
}

// The same engine hash for two blocks of one request.
std::string IndexScript::StoreTwiceInOne(Stream* stream) {
  const Path path = PickPath();
  std::vector<EngineHash> engines = EngineHashes(*stream, path);
  const auto size = static_cast<uint32_t>(engines.size());
  engines[below_(size)] = engines[below_(size)];
  StoreRequest request;
  request.engine_hashes = engines;
  request.local_hashes = path;
  request.tier = PickTier();
  return ApplyStore(*stream, request);
}

std::string IndexScript::RemoveSome(Stream* stream) {
  const Path path = PickPath();
  std::vector<EngineHash> engines = EngineHashes(*stream, path);
  const auto size = static_cast<uint32_t>(engines.size());
  const uint32_t begin = below_(2) == 0 ? 0 : below_(size);
  const uint32_t end = below_(2) == 0 ? size : begin + below_(size - begin + 1);
  engines = std::vector<EngineHash>(engines.begin() + begin, engines.begin() + end);
  const uint32_t order = below_(4);
  if (order <= 1) std::reverse(engines.begin(), engines.end());
  if (order == 2) {
    for (size_t i = engines.size(); i > 1; --i) {
      std::swap(engines[i - 1], engines[below_(static_cast<uint32_t>(i))]);
    }
  }
  return ApplyRemove(*stream, engines, PickTier());
}

std::string IndexScript::ApplyRemove(const Stream& stream, absl::Span<const EngineHash> engines,
                                     Tier tier) {
  const RemoveResult got = index_.Remove(stream.id, engines, tier);
  const RemoveResult want = model_.Remove(stream.id, engines, tier);
  if (got.removed == want.removed && got.copies_left == want.copies_left &&
      got.unknown == want.unknown) {
    return "";
  }
  return absl::StrCat("remove of ", engines.size(), " on stream ", stream.id.value(), ": removed ",
                      got.removed, " left ", got.copies_left, " unknown ", got.unknown,
                      ", the model ", want.removed, " ", want.copies_left, " ", want.unknown, "\n");
}

std::string IndexScript::AddCopiesSome(Stream* stream) {
  const Path path = PickPath();
  const std::vector<EngineHash> engines = EngineHashes(*stream, path);
  const auto begin = below_(static_cast<uint32_t>(engines.size()));
  const auto some = absl::MakeConstSpan(engines).subspan(begin);
  const Tier tier = static_cast<Tier>(below_(kTierCount));
  return ApplyAddCopies(*stream, some, tier);
}

std::string IndexScript::ApplyAddCopies(const Stream& stream, absl::Span<const EngineHash> engines,
                                        Tier tier) {
  const AddCopiesResult got = index_.AddCopies(stream.id, engines, tier);
  const AddCopiesResult want = model_.AddCopies(stream.id, engines, tier);
  if (got.added == want.added && got.duplicate == want.duplicate && got.unknown == want.unknown) {
    return "";
  }
  return absl::StrCat("copies of ", engines.size(), " on stream ", stream.id.value(), ": added ",
                      got.added, " duplicate ", got.duplicate, " unknown ", got.unknown,
                      ", the model ", want.added, " ", want.duplicate, " ", want.unknown, "\n");
}

// The tail of a prompt from gpu into a slower tier, as an engine evicts.
std::string IndexScript::OffloadSome(Stream* stream) {
  const Path path = PickPath();
  const std::vector<EngineHash> engines = EngineHashes(*stream, path);
  const auto tail =
      absl::MakeConstSpan(engines).subspan(below_(static_cast<uint32_t>(engines.size())));
  const std::string differs =
      ApplyAddCopies(*stream, tail, below_(8) < 5 ? Tier::kCpu : Tier::kDisk);
  return differs.empty() ? ApplyRemove(*stream, tail, Tier::kGpu) : differs;
}

double IndexScript::SlowerShare() const {
  return answered_blocks_ == 0 ? 0
                               : 1 - static_cast<double>(answered_gpu_blocks_) /
                                         static_cast<double>(answered_blocks_);
}

std::string IndexScript::ClearOrReopen(Stream* stream) {
  switch (below_(4)) {
    case 0: {
      index_.Close(stream->id);
      model_.Close(stream->id);
      *stream = OpenStream();
      return "";
    }
    case 1:  // the engine was restarted with another seed, and nobody noticed
      stream->scheme = options_.own_schemes ? PickScheme() : below_(3);
      return "";
    case 2: {
      const Tier tier = static_cast<Tier>(below_(kTierCount));
      const uint64_t got = index_.ClearTier(stream->id, tier);
      const uint64_t want = model_.ClearTier(stream->id, tier);
      if (got == want) return "";
      return absl::StrCat("clear of one tier: ", got, ", the model ", want, "\n");
    }
    default: {
      const uint64_t got = index_.Clear(stream->id);
      const uint64_t want = model_.Clear(stream->id);
      return got == want ? "" : absl::StrCat("clear: ", got, ", the model ", want, "\n");
    }
  }
}

std::string IndexScript::Step() {
  Stream* stream = &streams_[below_(static_cast<uint32_t>(streams_.size()))];
  const uint32_t kind = below_(64);
  if (kind == 0) return ClearOrReopen(stream);
  if (kind == 1 && !options_.sound_schemes) return StoreTwiceInOne(stream);
  if (kind < 6) return AddCopiesSome(stream);
  if (kind < 14 && options_.offloaded) return OffloadSome(stream);
  return kind < 36 ? StoreSome(stream) : RemoveSome(stream);
}

std::string IndexScript::CompareAnswers(uint32_t count) {
  MatchResult got, want;
  for (uint32_t i = 0; i < count; ++i) {
    Path path;
    if (below_(32) != 0) path = PickPath();
    path.resize(below_(2) == 0 ? path.size() : below_(static_cast<uint32_t>(path.size()) + 1));
    if (below_(4) == 0) path.push_back(LocalHash(Mix(1 + below_(options_.labels), path.size())));
    std::vector<PrefixHash> prompt;
    ChainLocals(path, &prompt);
    index_.Match(prompt, &got);
    model_.Match(prompt, &want);
    if (SortedMatches(got) != SortedMatches(want)) {
      return absl::StrCat("a prompt of ", prompt.size(), " blocks:\n", DescribeMatches(got),
                          "the model:\n", DescribeMatches(want));
    }
    for (const StreamMatch& match : got.matches) {
      answered_blocks_ += match.blocks;
      answered_gpu_blocks_ += match.blocks_by_tier[0];
    }
    PromptChain chain{absl::MakeConstSpan(path)};
    index_.Match(&chain, &got);
    if (SortedMatches(got) != SortedMatches(want)) {
      return absl::StrCat("a prompt of ", path.size(), " local hashes:\n", DescribeMatches(got),
                          "the model:\n", DescribeMatches(want));
    }
    if (path.empty()) continue;
    const Stream& stream = streams_[below_(static_cast<uint32_t>(streams_.size()))];
    const EngineHash some = EngineHashes(stream, path)[below_(static_cast<uint32_t>(path.size()))];
    if (index_.Holds(stream.id, some) != model_.Holds(stream.id, some)) {
      return absl::StrCat("Holds on stream ", stream.id.value(), " differs\n");
    }
  }
  if (count > 10) index_.WaitForScrub();
  const PrefixIndexStats stats = index_.Stats(), model = model_.Stats();
  if (stats.holdings != model.holdings || stats.streams != model.streams ||
      (count > 10 && stats.distinct_blocks != model.distinct_blocks)) {
    return absl::StrCat("holdings ", stats.holdings, " of ", stats.distinct_blocks,
                        " blocks, the model ", model.holdings, " of ", model.distinct_blocks, "\n");
  }
  return "";
}

}  // namespace kvroute
