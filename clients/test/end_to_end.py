"""Runs a client's tests and its example beside simulated engines and a real `kvroute serve`, and looks at what was routed."""

import argparse
import json
import os
import re
import subprocess
import sys
import time
import urllib.request

PATIENCE_S = 180
TURNS = ["Tell me of the sea, of its tides and of those who sail it, as long as you like. " * 20, "And of its birds?", "And of the wind?"]


def start(binary, *words):
    """A kvroute and the lines it says before it serves."""
    process = subprocess.Popen([binary] + list(words), stdout=subprocess.PIPE, text=True)
    lines = []
    while not lines or "serving" not in lines[-1]:
        lines.append(process.stdout.readline())
        if not lines[-1]:
            raise RuntimeError("%s said: %r" % (words, lines))
    return process, lines


def stop(process):
    process.terminate()
    status = process.wait(PATIENCE_S)
    process.stdout.close()
    return status


def facts(line):
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


def metric(http, name):
    with urllib.request.urlopen("http://%s/metrics" % http, timeout=PATIENCE_S) as page:
        found = re.search(r"^%s (\S+)$" % re.escape(name), page.read().decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def await_true(what, why):
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        if time.monotonic() > deadline:
            raise RuntimeError(why)
        time.sleep(0.05)


def converse(example, server, engine, turns):
    """What the example says of each turn."""
    said = subprocess.run(example + ["--kvroute", server, "--engine", "http://" + engine, "--model", "m"] + turns, stdout=subprocess.PIPE,
                          text=True, timeout=PATIENCE_S, check=True).stdout
    told = [json.loads(line) for line in said.splitlines()]
    if len(told) != len(turns) or not all(turn["answer"] for turn in told):
        raise RuntimeError("the example said: %r" % said)
    return told


def routes_conversations(example, server, engine, http):
    """A prompt goes anywhere; once its engine has told of it, who begins with it goes there and finds it cached."""
    ended = metric(http, 'kvroute_leases_ended_total{how="completed"}')
    first = converse(example, server, engine, TURNS[:1])[0]
    await_true(lambda: metric(http, "kvroute_index_holdings") > 0, "the engine's blocks are not heard of")
    again = converse(example, server, engine, TURNS)[0]
    if again["worker"] != first["worker"] or not again["matched_tokens"] or not again["cached_tokens"]:
        raise RuntimeError("it went to another worker, or was not found there: %r, then %r" % (first, again))
    await_true(lambda: metric(http, 'kvroute_leases_ended_total{how="completed"}') == ended + 1 + len(TURNS), "not every request was completed")


def main():
    parser = argparse.ArgumentParser()
    for name in ("binary", "tests", "example"):
        parser.add_argument("--" + name, required=True)
    words = parser.parse_args()
    engines, lines = start(words.binary, "engine", "--engines", "3", "--port", "0", "--event-port", "0", "--model", "m", "--speedup", "1000",
                           "--output-tokens", "20")
    workers, addresses = [], []
    for line in lines[:-1]:
        at = facts(line)
        addresses.append(at["http"])
        workers += ["--worker", "id=%s,address=http://%s,model=m,events=%s,replay=%s" % (line.split()[0], at["http"], at["events"], at["replay"])]
    server, lines = start(words.binary, "serve", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", *workers)
    try:
        at = facts(lines[-1])
        await_true(lambda: metric(at["http"], 'kvroute_streams{trust="exact"}') == 3, "the engines are not heard")
        subprocess.run(words.tests.splitlines(), env=dict(os.environ, KVROUTE_ADDRESS=at["grpc"]), timeout=PATIENCE_S, check=True)
        routes_conversations(words.example.splitlines(), at["grpc"], addresses[0], at["http"])
    finally:
        status = [stop(process) for process in (server, engines)]
    if any(status):
        sys.exit("kvroute ended with %s" % status)


if __name__ == "__main__":
    main()
