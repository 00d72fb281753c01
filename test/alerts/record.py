#!/usr/bin/env python3
"""Records what a real kvroute shows of itself in three runs, and writes it with what must come of it as deploy/prometheus/alerts_test.yml,
which promtool evaluates the shipped rules against.
    test/alerts/record.py [--binary build/release/kvroute] [--minutes 12] [--out deploy/prometheus/alerts_test.yml]

    heals  three engines with traffic; every 40 s one of them restarts and is away for 8 s: no alert fires at any time
    gone   one of two engines ends after 2 minutes for good: KvrouteWorkersNotHeard, of that worker
    lost   an engine without a replay socket loses 50 batches after a minute: KvrouteReplayFailures and KvrouteStreamNotExact, of it

The runs go on at the same time, on free ports of the loopback, and take as long as they say: the rules wait for minutes. Run it again when
metrics or rules change; the file is data, not to be edited.
"""
import argparse
import json
import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

INTERVAL_S = 15
# What the rules read, but for histograms.
KEPT = re.compile(r"kvroute_(build_info|ready|stream_info|stream_connected|stream_trust|stream_lost_batches_total|stream_unconfirmed_holdings|"
                  r"streams|streams_unheard|replays_total|events_skipped_total|batches_rejected_total|batches_total|index_holdings|"
                  r"leases_begun_total|leases_ended_total|config_reloads_total|prompt_tokens_total|matched_tokens_total|"
                  r"audit_cached_tokens_total|audit_predicted_tokens_total)(\{[^}]*\})?$")
RUNBOOKS = "https://github.com/kvroute/kvroute/blob/main/docs/runbooks"


def get(url, body=None):
    request = urllib.request.Request(url, data=None if body is None else json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.1)


class Server:
    """kvroute serve on free ports, with the workers given."""

    def __init__(self, binary, workers):
        self.folder = tempfile.TemporaryDirectory()
        ready = os.path.join(self.folder.name, "ready")
        words = [word for worker in workers for word in ("--worker", worker)]
        self.log = open(os.path.join(self.folder.name, "log"), "w", encoding="utf-8")
        self.process = subprocess.Popen([binary, "serve", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--ready-file", ready,
                                         *words], stdout=subprocess.DEVNULL, stderr=self.log)
        wait_for(lambda: os.path.exists(ready))
        with open(ready, encoding="utf-8") as file:
            self.http = re.search(r"http=(\S+)", file.read())[1]

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.log.close()
        self.folder.cleanup()


class Engines:
    """kvroute engine: `count` engines that answer and publish."""

    def __init__(self, binary, count, *words):
        self.process = subprocess.Popen([binary, "engine", "--engines", str(count), "--port", "0", "--event-port", "0", "--speedup", "50", *words],
                                        stdout=subprocess.PIPE, text=True)
        self.places = []
        for line in self.process.stdout:
            if line.startswith("kvroute engine:"):
                break
            self.places.append(dict(word.split("=", 1) for word in line.split() if "=" in word))

    def workers(self):
        return [f"id=engine-{i},address=http://{place['http']},model=m,events={place['events']},replay={place['replay']}"
                for i, place in enumerate(self.places)]

    def ask(self, i, words):
        try:
            get(f"http://{self.places[i]['http']}/v1/completions", {"model": "m", "prompt": words, "max_tokens": 4})
        except (urllib.error.URLError, OSError):
            pass  # it is away

    def end(self):
        self.process.kill()
        self.process.wait()


class Publisher:
    """A vLLM without a replay socket, which can lose batches."""

    def __init__(self):
        import msgpack
        import zmq
        self.pack, self.socket = msgpack.packb, zmq.Context.instance().socket(zmq.PUB)
        self.port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self.sequence, self.block = 0, 0

    def workers(self):
        return [f"id=loses,address=http://127.0.0.1:1,model=m,events=tcp://127.0.0.1:{self.port}"]

    def publish(self):
        self.block += 1
        parent = self.block - 1 if self.block > 1 else None
        event = {"type": "BlockStored", "block_hashes": [self.block], "parent_block_hash": parent, "token_ids": [self.block % 1000] * 16,
                 "block_size": 16, "lora_id": None, "medium": "GPU"}
        self.socket.send_multipart([b"", struct.pack(">Q", self.sequence), self.pack([time.time(), [event], None])])
        self.sequence += 1

    def end(self):
        self.socket.close(0)


def scrape(http):
    found = {}
    for line in get(f"http://{http}/metrics").splitlines():
        name, _, value = line.rpartition(" ")
        if KEPT.fullmatch(name):
            found[name] = float(value)
    found["up"] = 1.0
    return found


class Run(threading.Thread):
    """One of the three; its samples are scrapes, INTERVAL_S apart."""

    def __init__(self, name, server, minutes, act):
        super().__init__(daemon=True)
        self.name, self.server, self.minutes, self.act = name, server, minutes, act
        self.samples = []

    def run(self):
        began = time.monotonic()
        acting = threading.Thread(target=self.act, args=(began, began + 60 * self.minutes), daemon=True)
        acting.start()
        for i in range(60 * self.minutes // INTERVAL_S + 1):
            time.sleep(max(0.0, began + i * INTERVAL_S - time.monotonic()))
            self.samples.append(scrape(self.server.http))
        acting.join()

    def series(self):
        """(name with labels, values as promtool writes them, equal ones together)."""
        for name in sorted({name for sample in self.samples for name in sample}):
            values = [sample.get(name) for sample in self.samples]
            words, i = [], 0
            while i < len(values):
                same = i
                while same + 1 < len(values) and values[same + 1] == values[i]:
                    same += 1
                text = "_" if values[i] is None else f"{values[i]:.15g}"
                words.append(text if same == i else f"{text}x{same - i}")
                i = same + 1
            base, _, labels = name.partition("{")
            own = f'job="kvroute",instance="{self.name}"'
            yield base + "{" + (labels[:-1] + "," if labels else "") + own + "}", " ".join(words)


def heals(engines):
    def act(began, end):
        deaths, i = 1, 0
        while time.monotonic() < end:
            i += 1
            engines.ask(i % 3, f"prompt {i // 30} " + "and so on " * 200 + str(i % 30))
            if time.monotonic() > began + 40 * deaths:
                try:
                    get(f"http://{engines.places[deaths % 3]['http']}/simulate", {"die_for_ms": 8000})
                except (urllib.error.URLError, OSError):
                    pass
                deaths += 1
            time.sleep(0.2)
    return act


def gone(first, second):
    def act(began, end):
        i = 0
        while time.monotonic() < end:
            i += 1
            first.ask(0, f"prompt {i}")
            if time.monotonic() > began + 120:
                second.end()
            time.sleep(1)
    return act


def lost(publisher):
    def act(began, end):
        has_lost = False
        while time.monotonic() < end:
            publisher.publish()
            if not has_lost and time.monotonic() > began + 60:
                publisher.sequence += 50
                has_lost = True
            time.sleep(0.5)
    return act


def fires(minute, alert, labels, severity, summary):
    words = ", ".join(f"{name}: {value}" for name, value in labels.items())
    return (f"  - eval_time: {minute}m\n    alertname: {alert}\n    exp_alerts:\n    - exp_labels: {{severity: {severity}, job: kvroute, {words}}}\n"
            f"      exp_annotations:\n        summary: \"{summary}\"\n        runbook_url: {RUNBOOKS}/{alert}.md\n")


def document(runs, alerts, minutes):
    out = ("# Recorded by test/alerts/record.py, which says what happens in each run; not to be edited.\nrule_files: [rules.yml]\n"
           "evaluation_interval: 15s\ntests:\n")
    quiet = {"heals": alerts, "gone": [a for a in alerts if a != "KvrouteWorkersNotHeard"],
             "lost": [a for a in alerts if a not in ("KvrouteReplayFailures", "KvrouteStreamNotExact")]}
    for run in runs:
        out += f"# {run.name}\n- interval: {INTERVAL_S}s\n  input_series:\n"
        for name, values in run.series():
            out += f"  - series: '{name}'\n    values: '{values}'\n"
        out += "  alert_rule_test:\n"
        for alert in quiet[run.name]:
            out += "".join(f"  - {{eval_time: {minute}m, alertname: {alert}}}\n" for minute in range(1, minutes + 1))
        if run.name == "gone":
            out += "  - {eval_time: 6m, alertname: KvrouteWorkersNotHeard}\n"
            out += fires(9, "KvrouteWorkersNotHeard", {"instance": "gone", "worker": "engine-1", "model": "m"}, "warning",
                         "1 streams of worker engine-1 (model m) at gone have not been heard for 5 minutes: it is chosen by load alone.")
        if run.name == "lost":
            labels = {"instance": "lost", "worker": "loses", "model": "m"}
            out += fires(5, "KvrouteReplayFailures", labels, "warning",
                         "Batches of worker loses (model m) at lost are lost for good: no replay has brought them.")
            out += fires(9, "KvrouteStreamNotExact", labels, "warning",
                         "1 streams of worker loses (model m) at lost have not been exact for 5 minutes: their matches may be wrong.")
    return out


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--binary", default="build/release/kvroute")
    words.add_argument("--minutes", type=int, default=12)
    words.add_argument("--out", default="deploy/prometheus/alerts_test.yml")
    words = words.parse_args()
    with open("deploy/prometheus/rules.yml", encoding="utf-8") as file:
        alerts = re.findall(r"- alert: (\w+)", file.read())
    three, first = Engines(words.binary, 3), Engines(words.binary, 1)
    second, publisher = Engines(words.binary, 1), Publisher()
    two = [first.workers()[0], second.workers()[0].replace("id=engine-0", "id=engine-1")]
    servers = [Server(words.binary, workers) for workers in (three.workers(), two, publisher.workers())]
    runs = [Run("heals", servers[0], words.minutes, heals(three)), Run("gone", servers[1], words.minutes, gone(first, second)),
            Run("lost", servers[2], words.minutes, lost(publisher))]
    try:
        for run in runs:
            run.start()
        for run in runs:
            run.join()
    finally:
        for each in (three, first, second, publisher, *servers):
            each.end()
    with open(words.out, "w", encoding="utf-8") as file:
        file.write(document(runs, alerts, words.minutes))


if __name__ == "__main__":
    main()
