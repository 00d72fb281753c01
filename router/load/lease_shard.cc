#include "router/load/lease_shard.h"

#include <algorithm>
#include <utility>

namespace kvroute {
namespace {

constexpr uint64_t kEndedWithABegin = 2;  // more end than begin: what has expired does not pile up

void Credit(TargetLoad* load, LeaseCost cost) {
  load->requests_in_flight.fetch_add(1, std::memory_order_relaxed);
  load->begun.fetch_add(1, std::memory_order_relaxed);
  load->uncached_tokens_outstanding.fetch_add(cost.uncached_tokens, std::memory_order_relaxed);
  load->output_tokens_expected.fetch_add(cost.output_tokens, std::memory_order_relaxed);
}

void Debit(TargetLoad* load, LeaseCost cost) {
  load->requests_in_flight.fetch_sub(1, std::memory_order_relaxed);
  load->uncached_tokens_outstanding.fetch_sub(cost.uncached_tokens, std::memory_order_relaxed);
  load->output_tokens_expected.fetch_sub(cost.output_tokens, std::memory_order_relaxed);
}

}  // namespace

template <LoadTracker::Shard::Link LoadTracker::Shard::Lease::*kLink>
void LoadTracker::Shard::Append(uint32_t index, List* list) {
  leases_[index].*kLink = {list->newest, kNone};
  (list->newest == kNone ? list->oldest : (leases_[list->newest].*kLink).newer) = index;
  list->newest = index;
  ++list->count;
}

template <LoadTracker::Shard::Link LoadTracker::Shard::Lease::*kLink>
void LoadTracker::Shard::Remove(uint32_t index, List* list) {
  const Link link = leases_[index].*kLink;
  (link.older == kNone ? list->oldest : (leases_[link.older].*kLink).newer) = link.newer;
  (link.newer == kNone ? list->newest : (leases_[link.newer].*kLink).older) = link.older;
  --list->count;
}

bool LoadTracker::Shard::Begin(std::string_view request_id, const Terms& terms, Nanos now,
                               Nanos expiry, uint64_t* expired) {
  MutexLock lock(&mutex_);
  *expired = EndOldest(now, kEndedWithABegin);
  uint32_t index = kNone;  // stays so when the id is in use
  by_id_.lazy_emplace(request_id, [&](const auto& add) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    index = UnusedIndex();
    leases_[index].request_id.assign(request_id);
    add(std::string_view(leases_[index].request_id), index);
  });
  if (index == kNone) return false;
  Lease& lease = leases_[index];
  lease.target = terms.target;
  lease.cost = terms.cost;
  lease.holder = terms.holder;
  lease.prediction = terms.prediction;
  lease.answer = terms.answer;
  lease.in_flight = terms.prompt.pieces == nullptr
                        ? 0
                        : in_flight_->Begin(*terms.prompt.pieces, terms.prompt.place);
  lease.calls = 1;
  lease.expiry = expiry;
  Append<&Lease::among_all>(index, &all_);
  Append<&Lease::on_target>(index, &by_target_[terms.target.get()]);
  Append<&Lease::of_client>(index, &by_client_[terms.holder.client.connection].list);
  if (terms.holder.stream != 0) {
    Append<&Lease::of_stream>(index, &by_stream_[terms.holder.stream]);
  }
  Credit(terms.target.get(), terms.cost);
  return true;
}

bool LoadTracker::Shard::MayEnd(const Lease& lease, const ClientId& caller) const {
  const ClientId& client = lease.holder.client;
  if (lease.holder.id_is_secret || caller.connection == client.connection) return true;
  return caller.address == client.address && by_client_.at(client.connection).gone;
}

void LoadTracker::Shard::ForgetPrompt(Lease* lease) {
  in_flight_->End(std::exchange(lease->in_flight, 0));
}

// The latest to expire is the newest of all.
void LoadTracker::Shard::SetExpiry(uint32_t index, Nanos expiry) {
  Remove<&Lease::among_all>(index, &all_);
  leases_[index].expiry = expiry;
  Append<&Lease::among_all>(index, &all_);
}

LoadTracker::Shard::Found LoadTracker::Shard::Renew(std::string_view request_id,
                                                    const ClientId& caller, bool prefilled,
                                                    Nanos expiry) {
  MutexLock lock(&mutex_);
  const auto it = by_id_.find(request_id);
  if (it == by_id_.end()) return Found::kNo;
  Lease& lease = leases_[it->second];
  if (!MayEnd(lease, caller)) return Found::kNotTheCallers;
  SetExpiry(it->second, expiry);
  if (!prefilled) return Found::kYes;
  lease.target->uncached_tokens_outstanding.fetch_sub(lease.cost.uncached_tokens,
                                                      std::memory_order_relaxed);
  lease.cost.uncached_tokens = 0;  // told twice, taken off once
  ForgetPrompt(&lease);
  return Found::kYes;
}

bool LoadTracker::Shard::Repeat(std::string_view request_id, const ClientId& caller,
                                uint64_t request, Nanos expiry, RepeatedLease* repeated) {
  MutexLock lock(&mutex_);
  const auto it = by_id_.find(request_id);
  if (it == by_id_.end()) return false;
  Lease& lease = leases_[it->second];
  if (lease.answer.request != request || request == 0) return false;
  if (!MayEnd(lease, caller) && caller.address != lease.holder.client.address) return false;
  SetExpiry(it->second, expiry);
  ++lease.calls;
  *repeated = {lease.target, lease.answer};
  return true;
}

LoadTracker::Shard::Found LoadTracker::Shard::End(std::string_view request_id,
                                                  const ClientId& caller, EndedLease* ended) {
  MutexLock lock(&mutex_);
  const auto it = by_id_.find(request_id);
  if (it == by_id_.end()) return Found::kNo;
  const Lease& lease = leases_[it->second];
  if (!MayEnd(lease, caller)) return Found::kNotTheCallers;
  if (ended != nullptr) *ended = {lease.target, lease.prediction};
  EndLease(it->second);
  return Found::kYes;
}

LoadTracker::Shard::Found LoadTracker::Shard::Move(std::string_view request_id,
                                                   const std::shared_ptr<TargetLoad>& target,
                                                   const ClientId& caller) {
  MutexLock lock(&mutex_);
  const auto it = by_id_.find(request_id);
  if (it == by_id_.end()) return Found::kNo;
  Lease& lease = leases_[it->second];
  if (!MayEnd(lease, caller)) return Found::kNotTheCallers;
  Remove<&Lease::on_target>(it->second, &by_target_.find(lease.target.get())->second);
  Debit(lease.target.get(), lease.cost);
  ForgetPrompt(&lease);  // it is computed elsewhere
  lease.target = target;
  if (lease.prediction.state != Prediction::State::kNone) {
    lease.prediction.state = Prediction::State::kMoved;
  }
  Append<&Lease::on_target>(it->second, &by_target_[target.get()]);
  Credit(target.get(), lease.cost);
  return Found::kYes;
}

bool LoadTracker::Shard::Abandon(std::string_view request_id) {
  MutexLock lock(&mutex_);
  const auto it = by_id_.find(request_id);
  if (it == by_id_.end() || --leases_[it->second].calls != 0) return false;
  EndLease(it->second);
  return true;
}

uint64_t LoadTracker::Shard::EndExpired(Nanos now) {
  MutexLock lock(&mutex_);
  return EndOldest(now, UINT64_MAX);
}

uint64_t LoadTracker::Shard::EndOn(const TargetLoad* target) {
  MutexLock lock(&mutex_);
  const auto it = by_target_.find(target);
  if (it == by_target_.end()) return 0;
  const uint64_t ended = it->second.count;
  while (it->second.count != 0) EndLease(it->second.oldest);
  by_target_.erase(it);
  return ended;
}

uint64_t LoadTracker::Shard::EndOfStream(uint64_t stream) {
  MutexLock lock(&mutex_);
  uint64_t ended = 0;
  for (auto it = by_stream_.find(stream); it != by_stream_.end(); it = by_stream_.find(stream)) {
    EndLease(it->second.oldest);  // with the last one its list goes
    ++ended;
  }
  return ended;
}

bool LoadTracker::Shard::EndOneForRoom() {
  MutexLock lock(&mutex_);
  if (all_.count == 0) return false;
  EndLease(WhoGivesWay().oldest);
  return true;
}

const LoadTracker::Shard::List& LoadTracker::Shard::WhoGivesWay() {
  ForgetGoneWithoutLeases();
  if (!gone_.empty()) return by_client_.at(gone_.front()).list;
  return std::max_element(
             by_client_.begin(), by_client_.end(),
             [](const auto& a, const auto& b) { return a.second.list.count < b.second.list.count; })
      ->second.list;
}

// A call that was under way when its connection closed may begin a lease after that, under the
// number of a client that was forgotten already: then it counts as there.
void LoadTracker::Shard::ForgetGoneWithoutLeases() {
  for (; !gone_.empty(); gone_.pop_front()) {
    const auto it = by_client_.find(gone_.front());
    if (it != by_client_.end() && it->second.gone) return;
  }
}

void LoadTracker::Shard::ClientGone(const ClientId& client) {
  MutexLock lock(&mutex_);
  ForgetGoneWithoutLeases();
  const auto it = by_client_.find(client.connection);
  if (it == by_client_.end() || it->second.gone) return;
  if (it->second.list.count == 0) {
    by_client_.erase(it);
  } else {
    it->second.gone = true;
    gone_.push_back(client.connection);
  }
}

uint64_t LoadTracker::Shard::EndOldest(Nanos now, uint64_t limit) {
  uint64_t ended = 0;
  for (; ended < limit && all_.count != 0 && leases_[all_.oldest].expiry <= now; ++ended) {
    EndLease(all_.oldest);
  }
  return ended;
}

uint32_t LoadTracker::Shard::UnusedIndex() {
  if (free_.empty()) {
    leases_.emplace_back();
    return static_cast<uint32_t>(leases_.size() - 1);
  }
  const uint32_t index = free_.back();
  free_.pop_back();
  return index;
}

void LoadTracker::Shard::EndLease(uint32_t index) {
  Lease& lease = leases_[index];
  Remove<&Lease::among_all>(index, &all_);
  Remove<&Lease::on_target>(index, &by_target_.find(lease.target.get())->second);
  const auto of_client = by_client_.find(lease.holder.client.connection);
  Remove<&Lease::of_client>(index, &of_client->second.list);
  if (of_client->second.gone && of_client->second.list.count == 0) by_client_.erase(of_client);
  if (lease.holder.stream != 0) {
    const auto of_stream = by_stream_.find(lease.holder.stream);
    Remove<&Lease::of_stream>(index, &of_stream->second);
    if (of_stream->second.count == 0) by_stream_.erase(of_stream);
  }
  by_id_.erase(lease.request_id);
  Debit(lease.target.get(), lease.cost);
  ForgetPrompt(&lease);
  lease.target.reset();
  free_.push_back(index);
}

}  // namespace kvroute
