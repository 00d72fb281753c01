"""The demo behind a gateway: OpenAI's client, a real Envoy, simulated engines; once with kvroute as the picker, once with Envoy alone.

Prints a table and exits with 0 if no request failed, each was picked by its tokens, and kvroute ended cleanly.
"""

import json
import os
import subprocess
import sys

import rig
from gateway import Gateway

HERE = os.path.dirname(os.path.abspath(__file__))


def quantile(values, share):
    values = sorted(values)
    return values[min(int(share * len(values)), len(values) - 1)] if values else float("nan")


def run_clients(arguments, address):
    """What OpenAI's client tells of each request."""
    environment = {**os.environ, "OPENAI_BASE_URL": "http://%s/v1" % address, "OPENAI_API_KEY": "none"}
    words = [arguments.python, os.path.join(HERE, "openai_client.py"), "--conversations", str(arguments.conversations), "--turns", str(arguments.turns)]
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def with_kvroute(arguments, folder):
    gateway = Gateway(arguments, folder, "full-duplex", engines=arguments.engines, engine_words=engine_words(arguments))
    requests = run_clients(arguments, gateway.envoy.address)
    rig.wait_until(lambda: rig.metric(gateway.metrics(), "kvroute_leases") == 0, "all leases to have ended")
    page = gateway.settle()
    return requests, page, gateway.end()[1]


def without_kvroute(arguments, folder):
    """The same clients, engines that know nothing yet, and an Envoy that chooses the engine with the fewest requests."""
    engines = rig.Engines(arguments.binary, folder, arguments.engines, "--model", "m", *engine_words(arguments))
    config = rig.envoy_config(os.path.join(rig.SOURCE_DIR, "deploy", "envoy", "fail-open.yaml"), "127.0.0.1:1", list(engines.at.values()))
    filters = rig.connection_manager(config)["http_filters"]
    del filters[0]  # the picker's
    envoy = rig.Envoy(arguments.envoy, folder, "alone", config)
    requests = run_clients(arguments, envoy.address)
    envoy.end()
    engines.process.end()
    return requests


def engine_words(arguments):
    return ["--speedup", str(arguments.speedup), "--max-model-len", "32768", "--output-tokens", "40", "--blocks-per-worker", "2000"]


def summary(requests):
    good = [request for request in requests if "error" not in request]
    firsts = [request["first_s"] for request in good if request["first_s"] is not None]
    later = [request["first_s"] for request in good if request["first_s"] is not None and request["turn"] > 0]
    prompt = sum(request["prompt_tokens"] for request in good)
    cached = sum(request["cached_tokens"] for request in good)
    return {"requests": len(requests), "failed": len(requests) - len(good), "hit": cached / prompt if prompt else 0,
            "p50": quantile(firsts, 0.5), "p99": quantile(firsts, 0.99), "later": quantile(later, 0.5)}


def mean_ms(page, name, **labels):
    count = rig.metric(page, name + "_count", **labels)
    return 1000 * rig.metric(page, name + "_sum", **labels) / count if count else float("nan")


def routes(page):
    """(words, decisions) of each kind of decision that there was."""
    found = []
    for line in page.splitlines():
        for name in ("kvroute_decisions_total{", "kvroute_unscored_decisions_total{"):
            if line.startswith(name):
                labels, value = line[len(name):].rsplit("} ", 1)
                words = dict(word.split("=") for word in labels.replace('"', "").split(","))
                text = "%s: %s" % (words["policy"], words["reason"]) if "policy" in words else "of them without tokens: " + words["reason"]
                found.append((text, float(value)))
    return [(text, value) for text, value in found if value]


def tell(page, kvroute, alone):
    print("\n%-34s %14s %14s" % ("", "with kvroute", "Envoy alone"))
    for text, key, form in (("requests", "requests", "%14d"), ("failed", "failed", "%14d"), ("prompt tokens that were cached", "hit", "%14s"),
                            ("time to first token, p50", "p50", "%11.0f ms"), ("time to first token, p99", "p99", "%11.0f ms"),
                            ("of later turns, p50", "later", "%11.0f ms")):
        shown = ["%.1f %%" % (100 * each[key]) if key == "hit" else 1000 * each[key] if "ms" in form else each[key] for each in (kvroute, alone)]
        print("%-34s %s %s" % (text, form % shown[0], form % shown[1]))
    print("\nby route")
    for text, value in routes(page):
        print("  %-40s %8d" % (text, value))
    predicted, cached = (rig.metric(page, "kvroute_audit_%s_tokens_total" % word) for word in ("predicted", "cached"))
    print("\nprediction: %d tokens, the engines had %d; exactly right for %d of %d requests" % (
        predicted, cached, rig.metric(page, "kvroute_audit_error_tokens_bucket", le="0") - rig.metric(page, "kvroute_audit_error_tokens_bucket", le="-1"),
        rig.metric(page, "kvroute_audit_error_tokens_count")))
    print("\nwhat each stage took, on average")
    for text, name, labels in (("pick: body's end to the answer", "kvroute_picker_pick_duration_seconds", {}), ("  render: the engine's tokenizer", "kvroute_render_duration_seconds", {}),
                               ("  decide", "kvroute_request_duration_seconds", {"method": "Route"}), ("    hashes and index", "kvroute_match_duration_seconds", {})):
        print("  %-40s %8.3f ms" % (text, mean_ms(page, name, **labels)))


def main():
    parser = rig.arguments_of_all()
    parser.add_argument("--python", default=sys.executable, help="one that has the package openai")
    parser.add_argument("--conversations", type=int, default=36)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--engines", type=int, default=4)
    parser.add_argument("--speedup", type=float, default=1)
    arguments = parser.parse_args()
    with rig.temporary_folder() as folder:
        requests, page, status = with_kvroute(arguments, folder)
        alone = os.path.join(folder, "alone")
        os.makedirs(alone)
        without = without_kvroute(arguments, alone)
    kvroute = summary(requests)
    tell(page, kvroute, summary(without))
    for request in requests + without:
        if "error" in request:
            print("demo: a request failed: %s" % request["error"], file=sys.stderr)
    wanted = arguments.conversations * arguments.turns
    good = status == 0 and kvroute["failed"] == 0 and kvroute["requests"] == len(without) == wanted
    good = good and rig.metric(page, "kvroute_unscored_decisions_total") == 0
    print("\ndemo: %s" % ("all %d requests were picked by what engines hold" % wanted if good else "FAILED"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
