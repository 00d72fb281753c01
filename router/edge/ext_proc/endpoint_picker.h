#ifndef KVROUTE_ROUTER_EDGE_EXT_PROC_ENDPOINT_PICKER_H_
#define KVROUTE_ROUTER_EDGE_EXT_PROC_ENDPOINT_PICKER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/random/random.h"
#include "absl/types/span.h"
#include "indexer/base/log.h"
#include "indexer/base/memory_budget.h"
#include "router/edge/ext_proc/body_text.h"
#include "router/edge/ext_proc/picker_options.h"
#include "router/edge/ext_proc/picker_stats.h"
#include "router/edge/ext_proc/reply.h"
#include "router/edge/ext_proc/request_headers.h"
#include "router/fleet/request_rules.h"
#include "router/prompt/text_memory.h"
#include "router/route/router.h"

namespace kvroute {

// The request that is picked for, as its stream knows it.
struct PickFor {
  const RequestHeaders* headers = nullptr;
  absl::Span<const Endpoint> subset;  // where it may go
  bool restricted = false;            // false: anywhere
  ClientId client;
};

// A prompt's model in the fleet's words.
struct ServedModel {
  bool known = false;
  std::string model;
  std::string lora_name;
};

// What a body asks beside its prompt.
struct BodyTerms {
  ServedModel model;
  std::string cache_salt;
  uint32_t max_output_tokens = 0;
  size_t bytes = 0;
  bool several_prompts = false;
  TextChain text;  // of a prompt that comes as text
};

// Turns requests into queries and decisions into picks, for all streams of a picker; and keeps what
// they share: the reader of bodies, memory for them, the view of the fleet.
//
// Thread safety: one thread, the picker's event loop. Ownership: everything given to it outlives
// it. Errors: none; what cannot be scored goes by load, and what can go nowhere is a Refusal,
// counted.
class EndpointPicker {
 public:
  EndpointPicker(const PickerOptions& options, Router* router, const Fleet* fleet,
                 PickerStats* stats, MemoryBudget* bodies, const Clock* clock,
                 const PublishedRequestRules* rules = nullptr);

  // Reads a body at once; the answer is good until the next.
  const BodyText& Read(const RequestHeaders& headers, absl::Span<const std::string_view> pieces) {
    read_.Read(headers, pieces);
    return read_;
  }
  // The model that a request for `model` is to be sent on as, by the rules; empty: as it is.
  std::string RewriteOf(std::string_view model);
  // Of a body that was read, which is counted.
  BodyTerms TermsOf(const RequestHeaders& headers, const RequestBody& body, size_t bytes);
  // Of the gateways' tests: only endpoints at these addresses may be picked, if any of them is one.
  void Select(std::string_view addresses, std::vector<Endpoint>* subset, bool* restricted);

  // By the tokens of a prompt. nullopt: `pick` says where to.
  std::optional<Refusal> ByPrompt(const PickFor& request, const BodyTerms& terms,
                                  const PromptView& prompt, Pick* pick);
  std::optional<Refusal> ByLoad(const PickFor& request, const BodyTerms& terms, NoPrompt why,
                                Pick* pick);
  // Of a body that cannot be read; nullopt: it is passed on all the same.
  std::optional<Refusal> RefuseBody(const RequestBody& body);

  // What became of a picked request.
  void Prefilled(const Pick& pick, const ClientId& client);
  void Ended(const Pick& pick, const ClientId& client, const AnswerUsage& answer);
  // The endpoint that served it is another than the one picked.
  void ServedBy(const Pick& pick, std::string_view endpoint, const ClientId& client);

  // Whether all engines that are to be found have been looked for. As long as that is not so and
  // none is known, requests go on without a pick: that there is none may be our fault alone. Once
  // known, it stays so. Any thread.
  void SetFleetKnown(bool known) {
    if (known) fleet_known_.store(true, std::memory_order_relaxed);
  }

  const PickerOptions& options() const { return options_; }
  PickerStats* stats() const { return stats_; }
  MemoryBudget* bodies() const { return bodies_; }
  Nanos Now() const { return clock_->Monotonic(); }

 private:
  ServedModel FindServed(std::string_view model, const std::string& lora_name);
  ObjectiveClass ClassOf(std::string_view objective) const;
  std::optional<Refusal> RefuseOverload(const RequestHeaders& headers, ObjectiveClass objective);
  void ChoosePrefiller(const Query& routed, Pick* pick);
  PrefillChoice FindPrefiller(const Query& routed, Pick* pick);
  std::optional<Refusal> Route(const PickFor& request, Query* query, Pick* pick);
  void Tell(const Outcome& outcome);
  void FillPick(Pick* pick) const;
  void FillScores(Pick* pick) const;
  bool NoneFoundYet();

  const PickerOptions options_;
  Router* const router_;
  const Fleet* const fleet_;
  PickerStats* const stats_;
  MemoryBudget* const bodies_;
  const Clock* const clock_;
  const PublishedRequestRules* const rules_;
  absl::InsecureBitGen random_;
  BodyText read_;
  Decision decision_;
  Decision prefill_;
  std::shared_ptr<const FleetSnapshot> view_;
  LogLimiter adapter_log_;
  std::atomic<bool> fleet_known_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_EXT_PROC_ENDPOINT_PICKER_H_
