// Whom kvroute asks: who finds engines, who tells their load, who renders prompts.
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "indexer/base/error.h"
#include "router/config/config_sections.h"

namespace kvroute {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

absl::Status CheckRendererUrl(const std::string& url) {
  const bool has_scheme = url.starts_with("http://") || url.starts_with("https://");
  const size_t host = url.find("//") + 2;
  if (has_scheme && url.size() > host && url.find_first_of("/?# \t", host) == std::string::npos) {
    return absl::OkStatus();
  }
  return InvalidArgument("url: \"{}\" is not http://host:port without a path", url);
}

void VisitKubernetes(FieldVisitor* v, DiscoveryConfig* discovery) {
  KubernetesOptions* const kubernetes = &discovery->kubernetes;
  v->Text({"pool", "Name of the InferencePool whose pods are engines; empty: by selector."}, {},
          &kubernetes->pool);
  v->Text({"selector", "Labels of the pods that are engines, k=v,k2=v2; empty: by pool, or none."},
          {}, &kubernetes->selector);
  v->Text({"ports", "With a selector: their HTTP ports by rank, 8000,8001."}, {},
          &discovery->ports);
  v->Text({"namespace", "Where they are; empty: where kvroute runs."}, {},
          &kubernetes->kube_namespace);
  v->Text({"api_server", "https://host:port; empty: that of the cluster kvroute runs in."}, {},
          &kubernetes->server.url);
  v->Text({"ca_file", "PEM, whom to trust as that server; empty: the cluster's, or the system's."},
          {}, &kubernetes->server.tls.ca_file);
  v->Text({"token_file", "Bearer token, read again for each request; empty: the pod's own."}, {},
          &kubernetes->server.token_file);
  v->Bool({"request_rules",
           "Follow the InferenceObjectives and InferenceModelRewrites of that namespace, for the "
           "endpoint picker; a cluster need not have them."},
          &kubernetes->request_rules);
  v->Check([discovery]() -> absl::Status {
    const KubernetesOptions& k = discovery->kubernetes;
    if (!k.pool.empty() && !k.selector.empty()) {
      return InvalidArgument("selector: \"{}\", but there is a pool as well: it has its own",
                             k.selector);
    }
    return ParsePorts(discovery->ports).status();
  });
}

void VisitEngineDefaults(FieldVisitor* v, EngineDefaults* engines) {
  v->Text({"model", "That they serve; empty: each is asked (/v1/models)."},
          {.max_bytes = limits::kMaxModelBytes}, &engines->model);
  v->Choice({"engine", "Wire dialect, where a label does not say it."}, kEngineKindNames,
            &engines->engine);
  v->Number({"event_port", "ZeroMQ PUB socket of rank 0; rank r is at port + r."}, "", 1, 65'535,
            &engines->event_port);
  v->Number({"replay_port", "ZeroMQ ROUTER socket of rank 0; 0: none."}, "", 0, 65'535,
            &engines->replay_port);
  v->Text({"topic", "Subscription prefix; empty: all."}, {.max_bytes = limits::kMaxTopicBytes},
          &engines->topic);
}

}  // namespace

absl::StatusOr<std::vector<uint32_t>> ParsePorts(const std::string& text) {
  constexpr size_t kMaxPorts = 8;
  std::vector<uint32_t> ports;
  for (const auto& part : absl::StrSplit(text, ',')) {
    uint32_t port = 0;
    if (!absl::SimpleAtoi(part, &port) || port == 0 || port > 65'535 || ports.size() == kMaxPorts) {
      return InvalidArgument("ports: \"{}\" is no list of 1 to {} ports from 1 to 65535", text,
                             kMaxPorts);
    }
    ports.push_back(port);
  }
  return ports;
}

void VisitPrompts(FieldVisitor* v, PromptsConfig* prompts) {
  v->Bool({"ask_engines",
           "Prompts that come as text are tokenized by the model's own workers, in turn, at their "
           "addresses; false: only by `renderers`."},
          &prompts->ask_engines);
  v->ListOf(Field{"renderers", "Who tokenizes instead, e.g. `vllm launch render`, in turn."},
            limits::kMaxRendererUrls, &prompts->renderers, [v](RendererSpec* renderer) {
              v->Text({"url", "http://host:port, without a path."},
                      {.max_bytes = limits::kMaxAddressBytes, .required = true}, &renderer->url);
              v->Text({"model", "For which; empty: for all that have no renderer of their own."},
                      {.max_bytes = limits::kMaxModelBytes}, &renderer->model);
              v->Check([renderer] { return CheckRendererUrl(renderer->url); });
            });
  v->Millis({"probe_timeout", "For a renderer to say what it can; then it is left alone a while."},
            milliseconds(10), seconds(60), &prompts->http.probe_timeout);
  v->Number({"max_renders", "Under way at a time; further prompts are routed without tokens."},
            "renders", 1, 65'536, &prompts->http.max_renders);
  v->Number({"max_renders_per_renderer", "Of one renderer."}, "renders", 1, 65'536,
            &prompts->http.max_renders_per_renderer);
  v->Number({"max_render_memory",
             "Bytes of rendered prompts remembered, for the same body again; 0: none."},
            "bytes", 0, uint64_t{64} << 30, &prompts->http.max_memory_bytes);
}

void VisitDiscovery(FieldVisitor* v, DiscoveryConfig* discovery) {
  v->Group({"kubernetes", ""}, [&] { VisitKubernetes(v, discovery); });
  v->Text({"file", "Engines in llm-d's form, YAML or JSON; watched. Empty: none."}, {},
          &discovery->file);
  v->ListOf(
      Field{"dns", "Names that engines have."}, limits::kMaxDnsNames, &discovery->dns,
      [v](DnsName* name) {
        v->Text(
            {"name", "host:port, each of its addresses an engine; or _service._proto.host (SRV)."},
            {.required = true}, &name->name);
        v->Check([name] { return CheckDnsName(name->name); });
      });
  v->Millis({"dns_interval", "Between two looks."}, milliseconds(100), hours(1),
            &discovery->dns_interval);
  v->Millis(
      {"not_ready_grace",
       "An engine that is ready, or named, no longer keeps its index for so long, and gets no "
       "requests."},
      milliseconds(0), hours(24), &discovery->not_ready_grace);
  v->Group({"engines", ""}, [&] { VisitEngineDefaults(v, &discovery->engines); });
}

void VisitScrape(FieldVisitor* v, ScrapeConfig* scrape) {
  v->Bool({"enabled",
           "Ask each engine whose address is host:port, with or without http://, for its metrics."},
          &scrape->enabled);
  v->Millis({"interval", "Between two scrapes of one engine, a tenth more or less."},
            milliseconds(50), hours(1), &scrape->options.interval);
  v->Millis({"timeout", "An engine that has not answered by then has not answered."},
            milliseconds(10), hours(1), &scrape->options.timeout);
  v->Text({"path", "Of the metrics page."}, {}, &scrape->options.path);
  v->Number({"failures",
             "After so many without an answer, an engine is chosen only where no other can be."},
            "", 1, 1'000, &scrape->options.failures);
  v->Number(
      {"load_port_offset",
       "Of SGLang engines that publish their load (--load-publish-endpoint): the port of that "
       "socket less the one of their events, the same for each rank; 0: nobody listens."},
      "", 0, 65'534, &scrape->pushed.port_offset);
  v->Millis({"load_stale_after",
             "After so long without a word an engine that published its load is scraped again."},
            milliseconds(1'000), hours(1), &scrape->pushed.stale_after);
  v->Text({"ca_file", "PEM, for https:// addresses; empty: the system's."}, {},
          &scrape->options.tls.ca_file);
  v->Text({"token_file", "Bearer token to send, read for each request; empty: none."}, {},
          &scrape->options.token_file);
}

}  // namespace kvroute
