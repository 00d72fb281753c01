#include "router/fleet/discovery/kube_rules.h"

#include <algorithm>
#include <utility>

#include "indexer/base/limits.h"
#include "indexer/base/text.h"

namespace kvroute {
namespace {

constexpr std::array<const char*, kKubeRuleGroups> kGroups = {"llm-d.ai",
                                                              "inference.networking.x-k8s.io"};
constexpr std::array<const char*, kKubeRuleKindNames.size()> kKinds = {"inferenceobjectives",
                                                                       "inferencemodelrewrites"};

size_t TargetsOf(const KubeRule& rule) {
  size_t targets = 0;
  for (const ModelRewrite& rewrite : rule.rewrites) targets += 1 + rewrite.targets.size();
  return targets;
}

}  // namespace

KubeRules::KubeRules(HttpClient* client, const KubeWatchOptions& watch,
                     const std::string& kube_namespace, std::string pool,
                     PublishedRequestRules* rules)
    : client_(client), pool_(std::move(pool)), rules_(rules) {
  for (size_t k = 0; k < kKinds.size(); ++k) {
    const auto kind = static_cast<KubeRuleKind>(k);
    for (size_t g = 0; g < kKubeRuleGroups; ++g) {
      KubeWatchOptions options = watch;
      options.optional = true;
      options.paths = {
          fmt::format("/apis/{}/v1alpha2/namespaces/{}/{}", kGroups[g], kube_namespace, kKinds[k])};
      Rules* const seen = &seen_[k][g].rules;
      seen_[k][g].watch = std::make_unique<KubeWatch>(
          client_, std::move(options), &counts_[k].watches[g],
          [this, kind, seen](std::vector<KubeObject> objects) {
            OnList(kind, seen, std::move(objects));
          },
          [this, kind, seen](KubeChange change, const KubeObject& object) {
            OnEvent(kind, seen, change, object);
          });
    }
  }
}

void KubeRules::Start() {
  for (const auto& kind : seen_) {
    for (const Seen& seen : kind) seen.watch->Start();
  }
}

// In the order of their names, so that of too many always the same are taken.
void KubeRules::OnList(KubeRuleKind kind, Rules* rules, std::vector<KubeObject> objects) {
  std::sort(objects.begin(), objects.end(),
            [](const KubeObject& a, const KubeObject& b) { return a.name < b.name; });
  rules->clear();
  for (const KubeObject& object : objects) Take(kind, rules, object);
  Publish();
}

void KubeRules::OnEvent(KubeRuleKind kind, Rules* rules, KubeChange change,
                        const KubeObject& object) {
  rules->erase(object.name);
  if (change != KubeChange::kDeleted) Take(kind, rules, object);
  Publish();
}

void KubeRules::Take(KubeRuleKind kind, Rules* rules, const KubeObject& object) {
  if (object.rule == nullptr) return LeaveOut(kind, object, "it has no poolRef");
  if (object.terminating || (!pool_.empty() && object.rule->pool != pool_)) return;
  if (rules->size() >= limits::kMaxRequestRules) {
    return LeaveOut(kind, object, fmt::format("there are {} others", limits::kMaxRequestRules));
  }
  if (Targets() + TargetsOf(*object.rule) > limits::kMaxRewriteTargets) {
    return LeaveOut(kind, object,
                    fmt::format("with it there would be more than {} targets of rewrites",
                                limits::kMaxRewriteTargets));
  }
  if (!object.rule->wrong.empty()) LeaveOut(kind, object, object.rule->wrong);
  rules->emplace(object.name, object.rule);
}

void KubeRules::LeaveOut(KubeRuleKind kind, const KubeObject& object, std::string_view why) {
  ++counts_[static_cast<size_t>(kind)].left_out;
  if (const uint64_t lines = limiter_.Admit(Clock::Real().Monotonic())) {
    LogWarning("kubernetes: {} \"{}\": {}; left out ({} alike not shown)",
               kKinds[static_cast<size_t>(kind)], OneLine(object.name), why, lines - 1);
  }
}

size_t KubeRules::Targets() const {
  size_t targets = 0;
  for (const Seen& seen : seen_[static_cast<size_t>(KubeRuleKind::kRewrites)]) {
    for (const auto& [name, rule] : seen.rules) targets += TargetsOf(*rule);
  }
  return targets;
}

// Of two rewrites for one model the older counts, as the API has it.
void KubeRules::Publish() {
  std::vector<RequestRules::Objective> objectives;
  for (const Seen& seen : seen_[static_cast<size_t>(KubeRuleKind::kObjectives)]) {
    for (const auto& [name, rule] : seen.rules) objectives.push_back({name, rule->priority});
  }
  std::vector<std::shared_ptr<const KubeRule>> by_age;
  Rules told;
  for (const Seen& seen : seen_[static_cast<size_t>(KubeRuleKind::kRewrites)]) {
    for (const auto& [name, rule] : seen.rules) {
      if (told.emplace(name, rule).second) by_age.push_back(rule);
    }
  }
  std::stable_sort(by_age.begin(), by_age.end(),
                   [](const auto& a, const auto& b) { return a->created < b->created; });
  std::vector<ModelRewrite> rewrites;
  for (const auto& rule : by_age) {
    rewrites.insert(rewrites.end(), rule->rewrites.begin(), rule->rewrites.end());
  }
  rules_->Publish(std::make_shared<RequestRules>(objectives, std::move(rewrites)));
}

}  // namespace kvroute
