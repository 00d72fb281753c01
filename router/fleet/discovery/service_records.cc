#include "router/fleet/discovery/service_records.h"

#include <arpa/nameser.h>
#include <fmt/core.h>
#include <netdb.h>
#include <resolv.h>

#include <algorithm>
#include <array>
#include <vector>

#include "indexer/base/limits.h"

namespace kvroute {
namespace {

constexpr size_t kMaxReplyBytes = 65'535;
constexpr size_t kMaxPlaces = 4'096;
constexpr size_t kSrvFixedBytes = 6;  // priority, weight, port

// "host:port" of one record; empty: it is none.
std::string PlaceOf(const ns_msg& message, const ns_rr& record) {
  if (ns_rr_type(record) != ns_t_srv || ns_rr_rdlen(record) <= kSrvFixedBytes) return "";
  std::array<char, NS_MAXDNAME> host{};
  const unsigned char* const data = ns_rr_rdata(record);
  const int size = dn_expand(ns_msg_base(message), ns_msg_end(message), data + kSrvFixedBytes,
                             host.data(), static_cast<int>(host.size()));
  const uint32_t port = ns_get16(data + 4);
  std::string_view name(host.data());
  if (size < 0 || name.empty() || name == "." || port == 0) return "";  // ".": nowhere
  if (name.back() == '.') name.remove_suffix(1);
  return fmt::format("{}:{}", name, port);
}

}  // namespace

NameAnswer ServiceRecords::ReadReply(std::string_view message) {
  NameAnswer answer;
  ns_msg parsed{};
  const auto* const bytes = reinterpret_cast<const unsigned char*>(message.data());
  if (ns_initparse(bytes, static_cast<int>(message.size()), &parsed) != 0) {
    answer.trouble = ConnectTrouble::kNameServer;
    return answer;
  }
  const int count = ns_msg_count(parsed, ns_s_an);
  for (int i = 0; i < count && answer.addresses.size() < kMaxPlaces; ++i) {
    ns_rr record{};
    if (ns_parserr(&parsed, ns_s_an, i, &record) != 0) continue;
    std::string place = PlaceOf(parsed, record);
    if (!place.empty()) answer.addresses.push_back(std::move(place));
  }
  std::sort(answer.addresses.begin(), answer.addresses.end());
  answer.addresses.erase(std::unique(answer.addresses.begin(), answer.addresses.end()),
                         answer.addresses.end());
  if (answer.addresses.empty()) answer.trouble = ConnectTrouble::kNoSuchHost;
  return answer;
}

NameAnswer ServiceRecords::AddressesOf(const std::string& service) {
  NameAnswer answer;
  answer.trouble = ConnectTrouble::kNameServer;
  struct __res_state state {};
  if (res_ninit(&state) != 0) return answer;
  if (server_) {
    state.nsaddr_list[0] = *server_;
    state.nscount = 1;
  }
  std::vector<unsigned char> reply(kMaxReplyBytes);
  const int size = res_nsearch(&state, service.c_str(), ns_c_in, ns_t_srv, reply.data(),
                               static_cast<int>(reply.size()));
  const int error = state.res_h_errno;
  res_nclose(&state);
  if (size > 0) {
    return ReadReply({reinterpret_cast<const char*>(reply.data()),
                      std::min(reply.size(), static_cast<size_t>(size))});
  }
  if (error == HOST_NOT_FOUND || error == NO_DATA) answer.trouble = ConnectTrouble::kNoSuchHost;
  return answer;
}

}  // namespace kvroute
