#include "router/edge/grpc_base/server_settings.h"

#include <grpc/grpc.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <future>
#include <system_error>

#include "indexer/base/named_thread.h"

namespace kvroute {
namespace {

// No call for so long: the last answers are on their way, too.
constexpr std::chrono::milliseconds kQuiet(100);
// A client that has connected says so, or it is cut off.
constexpr std::chrono::seconds kHandshakeTimeout(10);
// What is read of one connection before others have their turn.
constexpr int kReadAtOnceBytes = 131'072;

int Millis(std::chrono::milliseconds time) { return static_cast<int>(time.count()); }

void SetTimes(const ConnectionTimes& times, grpc::ServerBuilder* builder) {
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Millis(times.keepalive_time));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Millis(times.keepalive_timeout));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                              Millis(times.min_ping_interval));
  if (times.max_age == std::chrono::milliseconds(0)) return;
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, Millis(times.max_age));
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, Millis(times.max_age_grace));
}

}  // namespace

void SetServerLimits(const ServerLimits& limits, grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(static_cast<int>(limits.max_message_bytes));
  builder->SetResourceQuota(grpc::ResourceQuota("kvroute").Resize(limits.max_memory_bytes));
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, limits.calls_of_a_connection);
  // What a compressed message becomes is not known before it is there: calls that announce one are
  // refused (UNIMPLEMENTED), and one that comes unannounced is never inflated.
  for (const auto algorithm : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP}) {
    builder->SetCompressionAlgorithmSupportStatus(algorithm, false);
  }
  builder->AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  // Otherwise gRPC lets every stream send megabytes ahead of what is asked for.
  builder->AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder->AddChannelArgument(GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, kReadAtOnceBytes);
  builder->AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Millis(kHandshakeTimeout));
  SetTimes(limits.times, builder);
  builder->AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 1);  // Connections judges by its counts
}

void ShutDownServer(grpc::Server* server, EventLoop* loop, std::chrono::milliseconds grace) {
  std::promise<void> ended;
  const auto close = [server, grace, &ended] {
    server->Shutdown(std::chrono::system_clock::now() + grace);
    ended.set_value();
  };
  NamedThread closer;
  try {
    closer = NamedThread("grpc-shutdown", close);
  } catch (const std::system_error&) {
    close();  // the system gives no thread: it only takes longer
  }
  loop->AwaitLastCall();
  // gRPC waits for every connection to go, and an idle client looks at its own every few seconds
  // only.
  if (ended.get_future().wait_for(kQuiet) != std::future_status::ready) {
    grpc_server_cancel_all_calls(server->c_server());
  }
  closer.Join();
  server->Wait();
}

}  // namespace kvroute
