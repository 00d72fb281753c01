"""Reads what the benchmarks wrote as one table of samples: {metric name: [value of each repetition]}."""

import json
import math
import re


class UnusableInput(Exception):
    """The input cannot be judged at all: missing, not ours, or without a single metric."""


# Fields of a Google Benchmark entry that are not measurements.
_NOT_METRICS = {
    "name", "run_name", "run_type", "family_index", "per_family_instance_index", "repetitions",
    "repetition_index", "threads", "iterations", "time_unit", "label", "aggregate_name",
    "aggregate_unit", "error_occurred", "error_message", "real_time", "cpu_time",
}
_NANOSECONDS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}


def _add(samples, name, value):
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        samples.setdefault(name, []).append(float(value))


def benchmark_name(run_name):
    return re.sub(r"/iterations:\d+|/manual_time", "", run_name)


def _loops_on_one_thread(entry):
    """Whether its processor time is all it needed of its wall time."""
    return "/iterations:1" not in entry["run_name"] and "_time" not in entry["run_name"] and \
        entry.get("real_time", 0) > 0


def from_google_benchmark(document):
    """Samples of one --benchmark_out file: `<benchmark>:<counter>`, and `:cpu_time_ns` where it has no times of its own.

    `:cpu_share` is processor time over wall time: well below 1, something else had the core meanwhile.
    """
    samples = {}
    for entry in document.get("benchmarks", []):
        if entry.get("run_type") == "aggregate" or entry.get("error_occurred"):
            continue
        name = benchmark_name(entry["run_name"])
        counters = {key: value for key, value in entry.items() if key not in _NOT_METRICS}
        for key, value in counters.items():
            _add(samples, f"{name}:{key}", value)
        if "cpu_share" not in counters and _loops_on_one_thread(entry):
            _add(samples, f"{name}:cpu_share", entry["cpu_time"] / entry["real_time"])
        if not counters:
            scale = _NANOSECONDS[entry.get("time_unit", "ns")]
            _add(samples, f"{name}:cpu_time_ns", entry["cpu_time"] * scale)
    return samples


def from_replay(document, name):
    """Samples of one `kvroute replay --json` file, under `<name>:`."""
    samples = {}
    for run in document.get("runs", []):
        for kind in ("query", "query_with_chaining", "store", "remove", "clear"):
            if run[kind]["operations"] == 0:
                continue
            for key in ("mean_ns", "p50_ns", "p99_ns", "p999_ns", "ns_per_block"):
                _add(samples, f"{name}:{kind}_{key}", run[kind][key])
        _add(samples, f"{name}:block_ops_per_s", run["block_ops_per_s"])
        _add(samples, f"{name}:requested_block_ops_per_s", run["requested_block_ops_per_s"])
        _add(samples, f"{name}:rss_bytes_per_holding", run["memory"]["rss_bytes_per_holding"])
        _add(samples, f"{name}:rss_bytes", run["memory"]["rss_growth_bytes"])
        for key in ("cpu_share", "probe_ns"):
            if key in run:
                _add(samples, f"{name}:{key}", run[key])
    return samples


def load(path):
    """A file written by scripts/bench: {"environment": {...}, "samples": {...}}."""
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except (OSError, ValueError) as error:
        raise UnusableInput(f"{path}: {error}") from error
    samples = document.get("samples") if isinstance(document, dict) else None
    if not isinstance(samples, dict) or not samples:
        raise UnusableInput(f"{path}: no samples: not a result of scripts/bench")
    for name, values in samples.items():
        numbers = isinstance(values, list) and values and all(
            isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            for value in values)
        if not numbers:
            raise UnusableInput(f"{path}: {name}: not a list of finite numbers")
    return document
