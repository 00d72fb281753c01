#include "router/edge/grpc_v1/radix_service.h"

#include <algorithm>
#include <string>

#include "absl/container/flat_hash_set.h"

namespace kvroute {
namespace {

constexpr uint32_t kOurScheme = 1;

void Count(RoutingStats::Counter& counter) { counter.fetch_add(1, std::memory_order_relaxed); }

bool IsOurs(const radix_index::Keyspace& keyspace) {
  return keyspace.symbol_kind() == radix_index::TOKENS && keyspace.block_size() != 0 &&
         (keyspace.hash_scheme() == 0 || keyspace.hash_scheme() == kOurScheme);
}

// Ranks behind one address are one holder; the one that holds most comes first.
void WriteScores(const Scores& scores, radix_index::Match* match) {
  absl::flat_hash_set<std::string_view> told;
  for (const Match& found : scores.matches) {
    if (found.blocks == 0 || !told.insert(found.address).second) continue;
    radix_index::HolderScore* const score = match->add_scores();
    score->set_holder(std::string(found.address));
    score->set_matched_blocks(found.blocks);
    score->set_event_fed(true);
    score->add_intervals()->set_end(found.blocks);
    const auto target = scores.fleet->FindTarget(found.worker_id, found.rank);
    if (!target) continue;
    score->set_total_blocks(scores.fleet->targets[*target].stream->holdings.load());
  }
}

}  // namespace

void AnswerRadixQuery(Router* router, const radix_index::Query& query, RoutingStats* stats,
                      radix_index::Match* match) {
  match->set_query_id(query.query_id());
  const radix_index::Keyspace& keyspace = query.keyspace();
  if (!IsOurs(keyspace)) return Count(stats->radix_queries[RoutingStats::kRadixKeyspace]);
  if (query.content_hashes().empty()) return Count(stats->radix_queries[RoutingStats::kRadixEmpty]);
  Query asked;
  asked.model = keyspace.model();
  asked.prompt.block_hashes = BlockHashesView{
      .kind = BlockHashKind::kLocal,
      .hashes = {query.content_hashes().data(), static_cast<size_t>(query.content_hashes_size())},
      .block_size_tokens = keyspace.block_size()};
  asked.only_matching = true;
  thread_local Scores scores;
  if (!router->Score(asked, &scores).ok()) {
    return Count(stats->radix_queries[RoutingStats::kRadixRefused]);
  }
  WriteScores(scores, match);
  Count(stats->radix_queries[match->scores().empty() ? RoutingStats::kRadixEmpty
                                                     : RoutingStats::kRadixScored]);
}

RadixService::RadixService(Router* router, RoutingStats* stats, RpcStreams* streams,
                           size_t max_streams, std::chrono::milliseconds idle_timeout)
    : max_streams_(max_streams) {
  subscribe_.await = &RadixService::RequestSubscribe;
  subscribe_.answer = [router, stats](const ClientId&, const radix_index::Query& query,
                                      const LongNumbers&, radix_index::Match* match) {
    AnswerRadixQuery(router, query, stats, match);
  };
  // Of no query: its number is not known.
  subscribe_.refuse = [stats](const absl::Status&, radix_index::Match*) {
    Count(stats->radix_queries[RoutingStats::kRadixRefused]);
  };
  publish_.await = &RadixService::RequestPublish;
  publish_.answer = [stats](const ClientId&, const radix_index::Update& update, const LongNumbers&,
                            radix_index::PublishAck* ack) {
    Count(stats->radix_updates);
    ack->set_holder(update.holder());
    ack->set_epoch(update.epoch());
    ack->set_applied_seq(update.seq());
  };
  publish_.refuse = [](const absl::Status&, radix_index::PublishAck*) {};
  const auto both = [&](auto* method) {
    method->action = Action::kRadix;
    method->open = streams;
    method->idle_name = "grpc.stream_idle_timeout";
    method->idle_timeout = idle_timeout;
  };
  both(&subscribe_);
  both(&publish_);
}

void RadixService::Serve(const EdgeParts& parts) {
  const auto serve = [&](const auto& method) {
    using Method = std::decay_t<decltype(method)>;
    methods_.push_back(std::make_unique<CallPlaces>(max_streams_ + 1, parts.loop));
    methods_.back()->Start([this, &method, &parts](CallPlaces* places) {
      return std::make_unique<StreamPlace<Method>>(method, this, places, parts);
    });
  };
  serve(subscribe_);
  serve(publish_);
}

}  // namespace kvroute
