#include "router/fleet/discovery/dns.h"

#include <poll.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "indexer/base/error.h"
#include "indexer/base/text.h"
#include "router/fleet/discovery/service_records.h"

namespace kvroute {
namespace {

// "host:port"; the port 0: it is not of this form.
std::pair<std::string, uint32_t> SplitPort(const std::string& text) {
  const size_t colon = text.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || colon == 0) return {text, 0};
  if (!absl::SimpleAtoi(text.substr(colon + 1), &port) || port > 65'535) return {text, 0};
  return {text.substr(0, colon), port};
}

std::shared_ptr<NameService> ServicesOf(const DnsOptions& options) {
  return options.services != nullptr ? options.services : std::make_shared<ServiceRecords>();
}

}  // namespace

absl::Status CheckDnsName(const std::string& name) {
  const bool is_service = name.starts_with('_') && name.find("._") != std::string::npos;
  const bool is_text = IsOneLine(name) && name.find(' ') == std::string::npos;
  if (is_text && (is_service || SplitPort(name).second != 0)) return absl::OkStatus();
  return InvalidArgument("name: \"{}\" is neither host:port nor _service._proto.host", name);
}

DnsDiscovery::DnsDiscovery(DnsOptions options, OnWorkers on_workers)
    : options_(std::move(options)),
      on_workers_(std::move(on_workers)),
      addresses_(options_.addresses, wake_),
      services_(ServicesOf(options_), wake_) {
  for (const std::string& text : options_.names) {
    Name& name = names_.emplace_back();
    name.text = name.host = text;
    name.is_service = text.starts_with('_');
    if (!name.is_service) std::tie(name.host, name.port) = SplitPort(text);
  }
  thread_ = NamedThread("dns-discovery", [this] { Run(); });
}

DnsDiscovery::~DnsDiscovery() {
  ending_ = true;
  wake_->Wake();
  thread_.Join();
}

void DnsDiscovery::Run() {
  Nanos ask_at{0};
  while (!ending_) {
    const Nanos now = Clock::Real().Monotonic();
    if (now >= ask_at) {
      AskAll();
      ask_at = now + options_.interval;
    }
    pollfd woken{.fd = wake_->fd(), .events = POLLIN, .revents = 0};
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(ask_at - now).count();
    poll(&woken, 1, static_cast<int>(std::clamp<int64_t>(wait, 0, 3'600'000)));
    wake_->Woken();
    const bool found = TakeAnswers();
    const bool dropped = DropOld(Clock::Real().Monotonic());
    if (found || dropped) Publish();
  }
}

// A question that is still open is not asked again.
void DnsDiscovery::AskAll() {
  for (Name& name : names_) {
    if (name.question != nullptr) {
      name.failed = true;
      ++counts_.failures;
      continue;
    }
    name.question = (name.is_service ? services_ : addresses_).Ask(name.host);
  }
}

bool DnsDiscovery::TakeAnswers() {
  const Nanos now = Clock::Real().Monotonic();
  bool changed = false;
  for (Name& name : names_) {
    if (name.question == nullptr || !name.question->answered.load(std::memory_order_acquire)) {
      continue;
    }
    changed = TakeAnswer(&name, std::exchange(name.question, nullptr)->answer, now) || changed;
  }
  counts_.up = std::all_of(names_.begin(), names_.end(),
                           [](const Name& name) { return name.answered && !name.failed; });
  return changed;
}

bool DnsDiscovery::TakeAnswer(Name* name, const NameAnswer& answer, Nanos now) {
  name->failed = answer.trouble == ConnectTrouble::kNameServer;
  if (name->failed) {
    ++counts_.failures;
    if (const uint64_t lines = limiter_.Admit(now)) {
      LogWarning("dns: {}: no name server answers; what is known stays ({} alike not shown)",
                 name->text, lines - 1);
    }
    return false;
  }
  bool changed = !std::exchange(name->answered, true);
  std::map<std::string, Place> named;
  for (const std::string& address : answer.addresses) {
    const auto [host, port] =
        name->is_service ? SplitPort(address) : std::pair(address, name->port);
    named[AddressText(host, port)] = {host, port, now, true};
  }
  for (auto& [key, place] : name->places) {
    const bool is_named = named.contains(key);
    changed = changed || is_named != place.is_named;
    place.is_named = is_named;
    if (is_named) place.last_named = now;
  }
  for (auto& [key, place] : named) {
    changed = name->places.try_emplace(key, std::move(place)).second || changed;
  }
  return changed;
}

bool DnsDiscovery::DropOld(Nanos now) {
  bool dropped = false;
  for (Name& name : names_) {
    const size_t gone = std::erase_if(name.places, [&](const auto& each) {
      return !each.second.is_named && now >= each.second.last_named + options_.not_ready_grace;
    });
    dropped = dropped || gone != 0;
  }
  return dropped;
}

void DnsDiscovery::Publish() {
  std::vector<OwnedWorker> workers;
  for (const Name& name : names_) {
    for (const auto& [key, place] : name.places) {
      FoundEngine found;
      found.worker_id = fmt::format("{}/{}", name.host, key);
      found.host = place.host;
      found.ports = {place.port};
      workers.push_back({WorkerOf(found, options_.engines), !place.is_named});
    }
  }
  std::stable_partition(workers.begin(), workers.end(),
                        [](const OwnedWorker& worker) { return !worker.not_ready; });
  ++counts_.changes;
  on_workers_(std::move(workers));
}

}  // namespace kvroute
