// Where and how clients ask: the API, the endpoint picker, pages, JSON.
#include <utility>

#include "absl/strings/numbers.h"
#include "indexer/base/api_limits.h"
#include "indexer/base/error.h"
#include "router/config/config_sections.h"

namespace kvroute {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

absl::Status CheckListenText(const std::string& listen) {
  if (listen.empty()) return absl::InvalidArgumentError("listen: is empty");
  const size_t colon = listen.rfind(':');
  uint32_t port = 0;
  const bool bare_v6 = listen.front() != '[' && listen.find(':') != colon;
  if (colon == std::string::npos || bare_v6 || listen.find_first_of(", \t") != std::string::npos ||
      !absl::SimpleAtoi(listen.substr(colon + 1), &port) || port > 65'535) {
    return InvalidArgument(
        "listen: \"{}\" is not host:port, [IPv6]:port or :port with a port from 0 to 65535",
        listen);
  }
  return absl::OkStatus();
}

absl::Status CheckTls(const TlsFiles& tls) {
  if (tls.certificate_file.empty() != tls.key_file.empty()) {
    return absl::InvalidArgumentError(
        "certificate_file: certificate_file and key_file must both be given or both be empty");
  }
  if (!tls.client_ca_file.empty() && tls.certificate_file.empty()) {
    return absl::InvalidArgumentError(
        "client_ca_file: needs certificate_file and key_file as well");
  }
  return absl::OkStatus();
}

void VisitTls(FieldVisitor* v, TlsFiles* tls) {
  v->Text({"certificate_file", "PEM, the chain this server shows; empty: plain text."}, {},
          &tls->certificate_file);
  v->Text({"key_file", "PEM, its private key."}, {}, &tls->key_file);
  v->Text(
      {"client_ca_file", "PEM; when given, clients must show a certificate signed by it (mTLS)."},
      {}, &tls->client_ca_file);
  v->Bool({"client_certificate_required",
           "With client_ca_file, false: a client without a certificate is served as well, as far "
           "as its token's rights go."},
          &tls->client_certificate_required);
  v->Check([tls] { return CheckTls(*tls); });
}

absl::Status CheckPicker(const PickerConfig& picker) {
  for (const auto& [name, listen] : {std::pair("listen", &picker.listen),
                                     std::pair("plaintext_listen", &picker.plaintext_listen),
                                     std::pair("health_listen", &picker.health_listen)}) {
    if (listen->empty()) continue;
    if (absl::Status status = CheckListenText(*listen); !status.ok()) {
      return InvalidArgument("{}: {}", name, MessageOf(status).substr(sizeof("listen: ") - 1));
    }
  }
  const bool files = !picker.files.certificate_file.empty() && !picker.files.key_file.empty();
  if (picker.tls == PickerTls::kFiles && !files) {
    return absl::InvalidArgumentError("tls: files needs certificate_file and key_file");
  }
  const bool any = !picker.files.certificate_file.empty() || !picker.files.key_file.empty() ||
                   !picker.files.client_ca_file.empty();
  if (picker.tls != PickerTls::kFiles && any) {
    return InvalidArgument("certificate_file: given, but tls is {}", kPickerTlsNames[picker.tls]);
  }
  if (picker.plaintext_listen.empty() || !picker.listen.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("plaintext_listen: needs listen as well");
}

void VisitConnectionTimes(FieldVisitor* v, ConnectionTimes* times) {
  v->Millis({"keepalive_time", "A client that is silent for so long is asked if it is there."},
            seconds(1), hours(24), &times->keepalive_time);
  v->Millis({"keepalive_timeout", "It has so long to say so; then its calls end."},
            milliseconds(100), hours(1), &times->keepalive_timeout);
  v->Millis({"min_ping_interval",
             "Clients that send pings more often, and nothing else, are sent away after a few."},
            milliseconds(10), std::chrono::minutes(5), &times->min_ping_interval);
  v->Millis({"max_connection_age",
             "A connection that is so old, give or take a tenth, is asked to go: clients make "
             "another, behind a balancer perhaps to another replica. 0: never."},
            milliseconds(0), hours(24), &times->max_age);
  v->Millis({"connection_age_grace", "Its calls have so long to end."}, milliseconds(0), hours(24),
            &times->max_age_grace);
}

void VisitPickerTimes(FieldVisitor* v, PickerOptions* options) {
  v->Millis({"body_timeout",
             "For the body of a request to end, in full duplex; then it is picked for by load, and "
             "the rest passed through."},
            milliseconds(10), hours(1), &options->body_timeout);
  v->Millis({"pick_timeout",
             "For a prompt to be rendered, in full duplex, from the end of the body; then it is "
             "picked for by load."},
            milliseconds(10), hours(1), &options->pick_timeout);
  v->Millis({"buffered_pick_timeout",
             "The same in every other body mode, where the gateway's message_timeout (200ms unless "
             "it says otherwise) fails the request."},
            milliseconds(10), hours(1), &options->buffered_pick_timeout);
  v->Millis({"override_message_timeout",
             "Asked of a gateway that buffers, in place of its message_timeout, when a prompt must "
             "be rendered, which then may take three quarters of it; its max_message_timeout must "
             "allow it. 0: it is not asked."},
            milliseconds(0), hours(1), &options->message_timeout);
}

void VisitPrefill(FieldVisitor* v, PickerOptions* options) {
  v->Choice({"prefill",
             "When another worker computes the prompt (x-prefiller-host-port), of those whose role "
             "is prefill or both: never, where it is worth it, or always."},
            kPrefillElsewhereNames, &options->prefill);
  v->Number({"prefill_uncached_tokens",
             "Of by_prompt: so many tokens at least that the picked worker would have to compute."},
            "tokens", 0, limits::kMaxPromptTokens, &options->prefill_uncached_tokens);
  v->Number({"prefill_prompt_tokens", "Of by_prompt: so many tokens at least of the prompt."},
            "tokens", 0, limits::kMaxPromptTokens, &options->prefill_prompt_tokens);
}

void VisitPickerSurface(FieldVisitor* v, PickerOptions* options) {
  v->ListOf(Field{"sheddable_objectives",
                  "Objectives whose requests are refused (429) when all workers have reached "
                  "max_requests_in_flight, beside InferenceObjectives of a priority below 0."},
            limits::kMaxObjectives, &options->sheddable, [v](std::string* name) {
              v->Text({"name", "As in the header x-llm-d-inference-objective."},
                      {.max_bytes = 253, .required = true}, name);
            });
  v->Bool({"tell_scores",
           "Tell gateways which share of the prompt each endpoint holds, as metadata "
           "x-gateway-destination-endpoint-scores."},
          &options->tell_scores);
  v->Bool({"conformance_fixture",
           "For the conformance tests of gateways only: clients choose the endpoint."},
          &options->conformance_fixture);
}

}  // namespace

void VisitGrpc(FieldVisitor* v, GrpcConfig* grpc) {
  v->Text({"listen", "Address of the API; port 0 takes a free one."}, {.required = false},
          &grpc->listen);
  v->Check([grpc] { return CheckListenText(grpc->listen); });
  v->Group({"tls", ""}, [&] { VisitTls(v, &grpc->tls); });
  v->Number({"max_threads", "For what takes long: long prompts, Explain, Fleet."}, "threads", 2,
            4'096, &grpc->max_threads);
  v->Number({"max_connections", "At the limit a new one takes the place of the idlest."},
            "connections", 1, 1'000'000, &grpc->max_connections);
  v->Number({"max_memory", "gRPC's own buffers."}, "bytes", 16 << 20, uint64_t{64} << 30,
            &grpc->max_memory_bytes);
  v->Number({"max_message", "A longer request gets RESOURCE_EXHAUSTED."}, "bytes", 1 << 10,
            256 << 20, &grpc->max_message_bytes);
  v->Number({"max_streams", "RouteStream and ScoreStream calls open at once."}, "streams", 1, 4'096,
            &grpc->max_streams);
  v->Millis({"write_timeout", "A client that does not take its answers for so long is cut off."},
            milliseconds(500), hours(1), &grpc->write_timeout);
  v->Millis({"stream_idle_timeout",
             "A RouteStream or ScoreStream ends without a request for so "
             "long."},
            seconds(1), hours(24), &grpc->stream_idle_timeout);
  VisitConnectionTimes(v, &grpc->times);
}

void VisitPicker(FieldVisitor* v, PickerConfig* picker) {
  v->Text({"listen",
           "Address of the endpoint picker (ext_proc), usually port 9002; port 0 takes a free one; "
           "empty: none."},
          {}, &picker->listen);
  v->Choice({"tls", "What it speaks. self_signed: with a certificate made at start."},
            kPickerTlsNames, &picker->tls);
  v->Text({"certificate_file", "PEM, the chain it shows, for tls: files."}, {},
          &picker->files.certificate_file);
  v->Text({"key_file", "PEM, its private key."}, {}, &picker->files.key_file);
  v->Text({"client_ca_file", "PEM; when given, gateways must show a certificate signed by it."}, {},
          &picker->files.client_ca_file);
  v->Bool({"needs_role",
           "false: whoever reaches the picker may ask it; true: it needs the role route, if rights "
           "are configured."},
          &picker->needs_role);
  v->Text({"plaintext_listen", "A second address of the picker, without TLS; empty: none."}, {},
          &picker->plaintext_listen);
  v->Text({"health_listen",
           "Address of grpc.health.v1 alone, for probes, without TLS, usually port 9003; empty: "
           "only `picker.listen` answers it."},
          {}, &picker->health_listen);
  v->Number({"max_connections", "At the limit a new one takes the place of the idlest."},
            "connections", 1, 1'000'000, &picker->max_connections);
  v->Number({"max_streams", "HTTP requests under way; a further one is answered 503."}, "streams",
            1, 1'000'000, &picker->max_streams);
  v->Number({"max_body",
             "Of a request, kept to be read; with a longer one it is picked for by load. In the "
             "buffered modes one that is 1MiB longer fails the stream."},
            "bytes", 1 << 10, 1 << 30, &picker->options.max_body_bytes);
  VisitPickerTimes(v, &picker->options);
  VisitPrefill(v, &picker->options);
  v->Millis({"write_timeout", "A gateway that does not take its answers for so long is cut off."},
            milliseconds(500), hours(1), &picker->write_timeout);
  v->Number({"fallback_endpoints",
             "Told behind the picked one, for gateways that try a list; others take one only."},
            "endpoints", 0, limits::kMaxRunnerUps, &picker->options.fallback_endpoints);
  v->Choice({"bad_body",
             "Of a request whose body cannot be read: pass it on by load, or reject it (400)."},
            kBadBodyNames, &picker->options.bad_body);
  v->Choice({"overloaded",
             "When all workers have reached max_requests_in_flight: route to the least loaded, or "
             "refuse (429) what has no InferenceObjective of a priority above 0."},
            kWhenOverloadedNames, &picker->options.overloaded);
  VisitPickerSurface(v, &picker->options);
  v->Check([picker] { return CheckPicker(*picker); });
}

void VisitHttp(FieldVisitor* v, HttpConfig* http) {
  v->Text(
      {"listen", "Address of /metrics, /healthz, /readyz and /status; port 0 takes a free one."},
      {}, &http->listen);
  v->Check([http] { return CheckListenText(http->listen); });
  v->Group({"tls", ""}, [&] { VisitTls(v, &http->tls); });
  v->Number({"threads", "/metrics and /status pages put together at once; probes wait for none."},
            "threads", 1, 64, &http->threads);
  v->Bool({"per_stream_metrics",
           "kvroute_stream_* metrics, 18 series a stream, 17 more a trust that was audited.",
           Applies::kLive},
          &http->per_stream_metrics);
  v->Bool({"llm_d_metrics", "Also those figures that llm-d's picker has, under its names.",
           Applies::kLive},
          &http->llm_d_metrics);
}

void VisitRights(FieldVisitor* v, RightsOptions* rights) {
  v->Text({"token_file",
           "Bearer tokens, a line each: name, roles, and the token or sha256: and its hash; read "
           "again when it changes. Empty: no tokens."},
          {}, &rights->token_file);
  v->ListOf(Field{"certificates", "Roles of callers by their certificates.", Applies::kLive},
            limits::kMaxCertificateGrants, &rights->certificates, [v](CertificateGrant* grant) {
              v->Text({"name",
                       "DNS name or URI (SPIFFE id) of the certificate's alternative names; "
                       "*.example.org: any one label; spiffe://example.org/ns/*: any path below.",
                       Applies::kLive},
                      {.required = true}, &grant->name);
              v->Text({"roles", "Of route, register, admin, metrics, with commas.", Applies::kLive},
                      {.required = true}, &grant->roles);
              v->Check([grant] { return CheckGrant(*grant); });
            });
  v->Text({"everybody",
           "Roles of whoever reaches a port. Where no right is configured at all, everybody may "
           "everything.",
           Applies::kLive},
          {}, &rights->everybody);
  v->Check([rights] { return CheckRights(*rights); });
}

void VisitHttpJson(FieldVisitor* v, HttpJsonConfig* http) {
  v->Text({"listen",
           "Address for clients of Dynamo's and Mooncake's indexers; port 0 takes a free one. "
           "Empty: nobody listens."},
          {}, &http->listen);
  v->Check(
      [http] { return http->listen.empty() ? absl::OkStatus() : CheckListenText(http->listen); });
  v->Group({"tls", ""}, [&] { VisitTls(v, &http->tls); });
  v->Number({"threads", "That read bodies and hash prompts."}, "threads", 1, 64, &http->threads);
  v->Number({"body_limit", "A longer one is 413."}, "bytes", 1 << 10, 256 << 20,
            &http->body_limit_bytes);
  v->Number({"bodies_limit", "Of all requests under way; beyond it a further one is 503."}, "bytes",
            1 << 10, uint64_t{64} << 30, &http->bodies_limit_bytes);
  v->Bool({"allow_registration", "false: /register and /unregister are 403."},
          &http->allow_registration);
  v->Group({"mooncake", ""}, [&] {
    v->Choice({"reply", "Its C++ service answers by instances, its documentation by tenant."},
              kMooncakeReplyNames, &http->mooncake_reply);
  });
}

}  // namespace kvroute
