"""Runs benchmark binaries and corpus replays and collects their samples.

Repetitions are rounds: each runs everything once, every binary in a process of its own. So the samples of one benchmark
are of several processes (each with its own memory layout) and spread over the whole measurement: a disturbance of some
seconds meets one sample of each benchmark and not all samples of one.
"""

import dataclasses
import glob
import json
import os
import re
import resource
import subprocess
import sys
import time

from tools.regression import metrics, results

# The corpus that the figures to reach are stated for, and the one that stands in for it with --quick or without the trace.
CORPUS = ["--workers", "128", "--blocks-per-worker", "16384", "--block-size", "128", "--duplication", "20",
          "--length-factor", "4", "--seed", "1"]
SMALL_CORPUS = ["--workers", "16", "--blocks-per-worker", "2048", "--block-size", "128", "--length-factor", "2",
                "--seed", "1", "--requests", "2000"]
# Behind a corpus' name: whole prompts, as public systems' figures are stated for, and as engines publish them.
STORED = {"": ["--store-blocks", "0"], "-in-steps": ["--store-blocks", "16"]}
REPLAYED = ("runs", "flat", "none")
# Binaries that need more than one core; the others are pinned to the last one.
PARALLEL = re.compile(r"(concurrency|storm|event|ingest|route|picker|discovery)_benchmark$")

# What stands behind a real Envoy, which scripts/get-envoy gets.
BEHIND_ENVOY = re.compile(r"^Picker(BehindEnvoy|OpenLoop|TokenPhase)/")

@dataclasses.dataclass
class Part:
    """A piece of everything that takes less than 140 s with five repetitions."""
    binary: str   # regular expression on the binary's name; "" for replays
    names: str    # regular expression on benchmark names, as --filter
    seconds: int  # on the reference machine
    what: str


# What is not settled after --repetitions rounds is measured on, up to --attempts times as many; of a part as long as it is not
# older than this, else for so long.
SETTLING_SECONDS = {"part": 60, "all": 600}

PARTS = {
    "match": Part("^match_", "", 75, "lookups, misses, large prefixes; the flat yardstick"),
    "fleet": Part("^scale_", "^Fleet(Mix|GateCell)(Offloaded)?/|Floor|TableGrowth|^GrowthWaits/(full|holdings)|^StoredInSteps", 60, "the pinned fleet profile and its gate cell; how long anybody waits while an index grows"),
    "fleet-flat": Part("^scale_", "^Fleet.*Flat", 70, "the same on the flat yardstick"),
    "scale": Part("^scale_", "^Scale/(full|streams)", 80, "1 to 10,000 streams, 100 k to 10 M holdings"),
    "huge-100m": Part("^scale_", "/huge.*holdings:100000000(/iterations:1)?$", 30, "100 M holdings, 2.7 GB, once"),
    "huge-300m": Part("^scale_", "/huge.*holdings:300000000(/iterations:1)?$", 95, "300 M holdings, 8 GB, once"),
    "event": Part("^event_", "-^BurstLoad/full", 40, "wire bytes to visible, throughput, short bursts"),
    "ingest": Part("^ingest_", "", 55, "the same over real sockets"),
    "burst": Part("^event_", "^BurstLoad/full", 35, "10,000 events in 5 s and 100 times that"),
    "concurrency": Part("^concurrency_", "", 40, "1 to 500 operations in flight, readers beside a writer"),
    "storm": Part("^storm_", "", 15, "a worker cleared, 1,000 workers restarting"),
    "memory": Part("^memory_", "-/full", 10, "bytes an item, small sizes"),
    "memory-full": Part("^memory_", "/full", 85, "bytes an item up to 10 M; after churn"),
    "decode": Part("^decode_", "", 40, "bytes to events, per format"),
    "body": Part("^(body|render)_", "", 90, "request bodies to prompts beside one look at each word; what a render costs kvroute"),
    "route": Part("^(route|rights)_", "", 45, "routing decisions in process and over gRPC beside an echo; what a check of rights costs"),
    "picker": Part("^picker_", "-Envoy|OpenLoop|TokenPhase", 90, "the endpoint picker beside one that only speaks the protocol"),
    "picker-envoy": Part("^picker_", "Envoy|OpenLoop|TokenPhase", 110, "the same behind a real Envoy; skipped where there is none"),
    "discovery": Part("^discovery_", "", 70, "engines that come and go by the thousand; asking all of them"),
    "replay-runs": Part("", "^replay/runs", 90, "the conversation corpus, of whole prompts and in steps; makes them when they are not there"),
    "replay-flat": Part("", "^replay/flat", 115, "the same on the flat yardstick"),
    "replay-none": Part("", "^replay/none", 20, "the replay's own cost"),
}


def matches(pattern, name):
    if pattern.startswith("-"):
        return not re.search(pattern[1:], name)
    return re.search(pattern, name) is not None


def _children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _busy_seconds():
    """Of all cores of the machine together, since it started; 0 where it does not say."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system = map(int, file.readline().split()[1:4])
    except (OSError, ValueError):
        return 0.0
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


class Runner:
    def __init__(self, options, source, scratch):
        self._options = options
        self._source = source
        self._scratch = scratch
        self._part = PARTS.get(options.part)
        self._samples = {}
        self._settle_until = time.monotonic() + SETTLING_SECONDS["part"]

    def run(self):
        """{metric: [value of each repetition]} of everything selected."""
        chosen = {binary: self.select(binary) for binary in self._binaries()}
        self._get_envoy([name for names in chosen.values() for name in names])
        replays = [kind for kind in REPLAYED if self._wanted("", f"replay/{kind}")]
        replays = [(kind, *self._corpus(form)) for kind in replays for form in (STORED if kind == "runs" else [""])]
        for round_number in range(self._options.repetitions * self._options.attempts):
            settling = round_number >= self._options.repetitions
            if round_number == self._options.repetitions and not self._part:
                self._settle_until = time.monotonic() + SETTLING_SECONDS["all"]
            if settling and time.monotonic() > self._settle_until:
                break
            for binary, names in chosen.items():
                due = [name for name in names if self._is_due(name, round_number)]
                if due:
                    self._run_benchmarks(binary, due)
            for kind, corpus, name in replays:
                if not settling or self._unsettled_replay(f"replay/{name}/{kind}"):
                    self._run_replay(kind, corpus, name)
        return self._samples

    def _get_envoy(self, names):
        """Without one its benchmarks skip themselves; why there is none is said here."""
        if not any(BEHIND_ENVOY.search(name) for name in names) or "KVROUTE_ENVOY" in os.environ:
            return
        got = subprocess.run([os.path.join(self._source, "scripts", "get-envoy")], capture_output=True, text=True)
        if got.returncode == 0:
            os.environ["KVROUTE_ENVOY"] = got.stdout.strip()
        else:
            print(f"bench: nothing is measured behind Envoy: {got.stderr.strip()}", file=sys.stderr, flush=True)

    def _is_due(self, name, round_number):
        if round_number < self._options.repetitions:
            return round_number < self._repetitions(name)
        return "/full" not in name and "/huge" not in name and self._unsettled(results.benchmark_name(name))

    def _unsettled_replay(self, name):
        return "/conversation/" not in name and self._unsettled(name)  # that takes half a minute

    def _unsettled(self, benchmark):
        return not all(metrics.is_settled(metric, self._samples) for metric in self._samples
                       if metric.rsplit(":", 1)[0] == benchmark)

    def select(self, binary):
        listed = subprocess.run([binary, "--benchmark_list_tests=true"], check=True, capture_output=True, text=True)
        return [name for name in listed.stdout.split("\n")
                if name and self._wanted(os.path.basename(binary), name)]

    def _wanted(self, binary, name):
        if self._part:
            return bool(self._part.binary) == bool(binary) and matches(self._part.binary, binary) and \
                matches(self._part.names, name)
        if "/huge" in name and "huge" not in self._options.filter:
            return False
        if "/full" in name and self._options.quick:
            return False
        return matches(self._options.filter, name)

    def _repetitions(self, name):
        if "/huge" in name:
            return 1
        if "/full" in name:
            return min(self._options.full_repetitions, self._options.repetitions)
        return self._options.repetitions

    def _binaries(self):
        found = sorted(glob.glob(os.path.join(self._options.build, "test", "benchmark", "*_benchmark")))
        if not found:
            raise results.UnusableInput(f"{self._options.build}: no benchmarks: build the release preset first")
        return found

    def _run_benchmarks(self, binary, names):
        out = os.path.join(self._scratch, os.path.basename(binary) + ".json")
        exactly = "^(" + "|".join(re.escape(name) for name in names) + ")$"
        foreign = self._execute([binary, f"--benchmark_filter={exactly}",
                                 f"--benchmark_min_time={self._options.min_time}", f"--benchmark_out={out}",
                                 "--benchmark_out_format=json"],
                                PARALLEL.search(binary))
        with open(out, encoding="utf-8") as file:
            samples = results.from_google_benchmark(json.load(file))
        for benchmark in {metric.rsplit(":", 1)[0] for metric in samples}:
            samples[f"{benchmark}:foreign_cores"] = [foreign]
        self._add(samples)

    def _run_replay(self, kind, corpus, corpus_name):
        out = os.path.join(self._scratch, f"replay-{kind}.json")
        foreign = self._execute([os.path.join(self._options.build, "kvroute"), "replay", "--corpus", corpus,
                                 "--half", "--index", kind, "--json", out], parallel=False)
        name = f"replay/{corpus_name}/{kind}"
        with open(out, encoding="utf-8") as file:
            samples = results.from_replay(json.load(file), name)
        samples[f"{name}:foreign_cores"] = [foreign]
        self._add(samples)

    def _add(self, samples):
        for metric, values in samples.items():
            self._samples.setdefault(metric, []).extend(values)

    def _corpus(self, form):
        """The corpus file and its name; written once, the same bytes every time."""
        shared = os.environ.get("KVROUTE_SHARED", os.path.join(self._source, "..", "shared"))
        trace = self._options.trace or os.path.join(shared, "traces", "conversation_trace.jsonl")
        name = "conversation" if os.path.exists(trace) and not self._options.quick else "generated"
        small = name != "conversation"
        name += form
        path = os.path.join(self._options.build, f"corpus-{name}.bin")
        if not os.path.exists(path):
            chosen = SMALL_CORPUS if small else ["--trace", trace] + CORPUS
            self._execute([os.path.join(self._options.build, "kvroute"), "corpus", "--out", path + ".new"] + chosen +
                          STORED[form], parallel=True)
            os.replace(path + ".new", path)
        return path, name

    @staticmethod
    def _execute(command, parallel):
        """Runs it; how many cores others used meanwhile."""
        cores = sorted(os.sched_getaffinity(0))
        chosen = cores if parallel else cores[-1:]
        command = ["taskset", "-c", ",".join(map(str, chosen))] + command
        shown = " ".join(command)
        print("bench:", shown if len(shown) < 200 else shown[:200] + "...", file=sys.stderr, flush=True)
        start, busy, own = time.monotonic(), _busy_seconds(), _children_seconds()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        elapsed = max(time.monotonic() - start, 1e-3)
        return max(0.0, (_busy_seconds() - busy) - (_children_seconds() - own)) / elapsed
