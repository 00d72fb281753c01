#include "router/edge/grpc_base/conduct.h"

#include <algorithm>

namespace kvroute {
namespace {

constexpr double kTurnsASecond = 1'000.0 / static_cast<double>(kTurn.count());
// Fewer open requests that do not come are an honest client on a slow line.
constexpr uint64_t kManyUnfinished = 64;
constexpr uint32_t kUnfinishedTurns = 100;
// What a connection without any call has to say are pings and settings.
constexpr uint64_t kNoisyBytes = 65'536;
constexpr uint32_t kNoisyTurns = 10;

// Adds this turn to those in a row, or begins anew.
bool Lasts(bool now, uint32_t limit, uint32_t* turns) {
  *turns = now ? *turns + 1 : 0;
  return *turns >= limit;
}

}  // namespace

std::optional<ConnectionEnd> Conduct::Judge(const Reading& now) {
  if (first_) may_cancel_ = static_cast<double>(limits_.max_cancelled_calls_per_second);
  first_ = false;
  std::optional<ConnectionEnd> end;
  // Each looks at every turn, since it counts them.
  if (SendsWithoutCalls(now)) end = ConnectionEnd::kNoCalls;
  if (FinishesNoRequest(now)) end = ConnectionEnd::kUnfinishedRequests;
  if (DoesNotRead(now)) end = ConnectionEnd::kUnreadAnswers;
  if (now.calls.open() > limits_.max_open_calls) end = ConnectionEnd::kTooManyCalls;
  if (CancelsTooMuch(now)) end = ConnectionEnd::kCancelledCalls;
  before_ = now;
  return end;
}

bool Conduct::CancelsTooMuch(const Reading& now) {
  const auto a_second = static_cast<double>(limits_.max_cancelled_calls_per_second);
  may_cancel_ = std::min(a_second, may_cancel_ + a_second / kTurnsASecond);
  may_cancel_ -= static_cast<double>(now.calls.cancelled - before_.calls.cancelled);
  return may_cancel_ < 0;
}

bool Conduct::DoesNotRead(const Reading& now) {
  const bool stands = now.tcp.bytes_unread != 0 && now.tcp.bytes_acked == before_.tcp.bytes_acked;
  return Lasts(stands, static_cast<uint32_t>(limits_.write_timeout / kTurn), &unread_turns_);
}

bool Conduct::FinishesNoRequest(const Reading& now) {
  const uint64_t unfinished =
      now.calls.open() > now.calls_at_edge ? now.calls.open() - now.calls_at_edge : 0;
  const bool stands = unfinished > kManyUnfinished && now.calls.answered == before_.calls.answered;
  return Lasts(stands, kUnfinishedTurns, &unfinished_turns_);
}

bool Conduct::SendsWithoutCalls(const Reading& now) {
  const bool noisy = now.calls.open() == 0 && now.calls.begun == before_.calls.begun &&
                     now.tcp.bytes_received - before_.tcp.bytes_received > kNoisyBytes;
  return Lasts(noisy, kNoisyTurns, &noisy_turns_);
}

}  // namespace kvroute
