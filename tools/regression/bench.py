"""scripts/bench: runs the benchmarks and the corpus replays, and writes one result file."""

import argparse
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

from tools.regression import environment, must_reach, page, results

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# The corpus that the figures to reach are stated for.
CORPUS = ["--workers", "128", "--blocks-per-worker", "16384", "--block-size", "128", "--duplication", "20",
          "--length-factor", "4", "--seed", "1"]
SMALL_CORPUS = ["--workers", "16", "--blocks-per-worker", "2048", "--block-size", "128", "--length-factor", "2",
                "--seed", "1", "--requests", "2000"]
# Binaries that need more than one core; the others are pinned to the last one.
PARALLEL = re.compile(r"(concurrency|storm|event|route)_benchmark$")


def _parser():
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--build", default=os.path.join(SOURCE, "build", "release"))
    parser.add_argument("--filter", default="", help="regular expression on benchmark names; 'replay/' are the corpus replays")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--min-time", type=float, default=0.2, help="seconds a repetition of one benchmark")
    parser.add_argument("--quick", action="store_true", help="small sizes only, nothing that takes minutes")
    parser.add_argument("--trace", default="", help="Mooncake-format trace (default: the one in ../shared)")
    parser.add_argument("--out", default=os.path.join(SOURCE, "out", "bench.json"))
    parser.add_argument("--append", action="store_true", help="add to the samples in --out, replacing those measured again")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/benchmarks.md")
    return parser


def _run(command, log):
    print("bench:", " ".join(command), file=sys.stderr, flush=True)
    subprocess.run(command, check=True, stdout=log)


def _pinned(command, parallel):
    cores = sorted(os.sched_getaffinity(0))
    chosen = cores if parallel else cores[-1:]
    return ["taskset", "-c", ",".join(map(str, chosen))] + command


def _name_filter(options):
    if options.filter:
        return options.filter
    return "-/full|/huge" if options.quick else "-/huge"


def run_benchmarks(options, scratch):
    samples = {}
    binaries = sorted(glob.glob(os.path.join(options.build, "test", "benchmark", "*_benchmark")))
    if not binaries:
        raise results.UnusableInput(f"{options.build}: no benchmarks: build the release preset first")
    for binary in binaries:
        out = os.path.join(scratch, os.path.basename(binary) + ".json")
        command = [binary, f"--benchmark_filter={_name_filter(options)}",
                   f"--benchmark_repetitions={options.repetitions}",
                   f"--benchmark_min_time={options.min_time}",
                   f"--benchmark_out={out}", "--benchmark_out_format=json"]
        _run(_pinned(command, PARALLEL.search(binary)), subprocess.DEVNULL)
        if os.path.getsize(out) > 0:  # empty when the filter matches nothing in it
            with open(out, encoding="utf-8") as file:
                samples.update(results.from_google_benchmark(json.load(file)))
    return samples


def find_trace(options):
    shared = os.environ.get("KVROUTE_SHARED", os.path.join(SOURCE, "..", "shared"))
    trace = options.trace or os.path.join(shared, "traces", "conversation_trace.jsonl")
    return trace if os.path.exists(trace) else ""


def make_corpus(options):
    """The corpus file and its name; written once, the same bytes every time."""
    trace = find_trace(options)
    name = "conversation" if trace and not options.quick else "generated"
    path = os.path.join(options.build, f"corpus-{name}.bin")
    if not os.path.exists(path):
        chosen = ["--trace", trace] + CORPUS if name == "conversation" else SMALL_CORPUS
        _run([os.path.join(options.build, "kvroute"), "corpus", "--out", path] + chosen, subprocess.DEVNULL)
    return path, name


def run_replays(options, scratch):
    samples = {}
    names = [f"replay/{kind}" for kind in ("runs", "flat", "none")]
    if options.filter and not any(re.search(options.filter, name) for name in names):
        return samples
    corpus, corpus_name = make_corpus(options)
    for kind in ("runs", "flat", "none"):
        if options.filter and not re.search(options.filter, f"replay/{kind}"):
            continue
        out = os.path.join(scratch, f"replay-{kind}.json")
        command = [os.path.join(options.build, "kvroute"), "replay", "--corpus", corpus, "--half", "--index",
                   kind, "--repetitions", str(options.repetitions), "--json", out]
        _run(_pinned(command, parallel=False), subprocess.DEVNULL)
        with open(out, encoding="utf-8") as file:
            samples.update(results.from_replay(json.load(file), f"replay/{corpus_name}/{kind}"))
    return samples


def main(arguments=None):
    options = _parser().parse_args(arguments)
    try:
        document = {"environment": environment.describe(SOURCE, options.build), "samples": {}}
        if options.append and os.path.exists(options.out):
            document["samples"] = results.load(options.out)["samples"]
        with tempfile.TemporaryDirectory() as scratch:
            document["samples"].update(run_benchmarks(options, scratch))
            document["samples"].update(run_replays(options, scratch))
        if not document["samples"]:
            raise results.UnusableInput(f"nothing matches --filter {options.filter}")
        os.makedirs(os.path.dirname(os.path.abspath(options.out)), exist_ok=True)
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1, sort_keys=True)
            file.write("\n")
        if options.docs:
            page.update(os.path.join(SOURCE, "docs", "benchmarks.md"), document)
    except (results.UnusableInput, subprocess.CalledProcessError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    print(must_reach.render_text(document["samples"]))
    print(f"{len(document['samples'])} metrics in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
