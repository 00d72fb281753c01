"""Judges a live server by its /metrics: what happened between two scrapes, against limits."""

import dataclasses
import math
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from tools.regression.results import UnusableInput

_SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+\d+)?$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


def parse(text):
    """{(name, frozenset of labels): value}. Raises UnusableInput on a line that is not the exposition format."""
    samples = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _SAMPLE.match(line)
        try:
            value = float(match.group(3)) if match else None
        except ValueError:
            value = None
        if value is None:
            raise UnusableInput(f"metrics, line {number}: {line[:80]!r}: not a sample")
        samples[match.group(1), frozenset(_LABEL.findall(match.group(2) or ""))] = value
    return samples


def scrape(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return parse(response.read().decode("utf-8"))
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise UnusableInput(f"{url}: {error}") from error


def total(samples, name, **labels):
    wanted = set(labels.items())
    return sum(value for (sample, own), value in samples.items() if sample == name and wanted <= own)


def total_except(samples, name, label, accepted):
    return sum(value for (sample, own), value in samples.items()
               if sample == name and dict(own).get(label) not in accepted)


def quantile(before, after, name, q, **labels):
    """Seconds, by linear interpolation inside the bucket as Prometheus does; None without observations."""
    wanted = set(labels.items())
    buckets = {}
    for (sample, own), value in after.items():
        if sample == name + "_bucket" and wanted <= own:
            bound = float(dict(own)["le"])
            buckets[bound] = buckets.get(bound, 0.0) + value - before.get((sample, own), 0.0)
    count = buckets.get(math.inf, 0.0)
    if count <= 0:
        return None
    rank = q * count
    low, below = 0.0, 0.0
    for bound in sorted(buckets):
        if buckets[bound] >= rank:
            if math.isinf(bound):
                return low
            return low + (bound - low) * (rank - below) / max(buckets[bound] - below, 1e-12)
        low, below = bound, buckets[bound]
    return low


@dataclasses.dataclass
class Limits:
    event_ms: dict     # quantile -> limit
    routing_ms: dict
    events_per_s: float = 8000
    error_percent: float = 0.5
    memory_percent: float = 80
    memory_limit_bytes: float = 0  # 0: not judged


@dataclasses.dataclass
class Check:
    what: str
    value: float
    limit: float
    passed: bool

    def to_json(self):
        return dataclasses.asdict(self)


_SERVER_FAULTS_EXCLUDED = {"OK", "INVALID_ARGUMENT", "CANCELLED"}


def _at_most(what, value, limit):
    return Check(what, value, limit, value <= limit)


# Both answer the same question; a gateway uses one or the other.
_ROUTING = ("Route", "Score")
_COUNTERS = ("kvroute_events_total", "kvroute_events_skipped_total", "kvroute_batches_rejected_total",
             "kvroute_requests_total")


def _grown(before, after):
    grown = {name: total(after, name) - total(before, name) for name in _COUNTERS}
    for name, value in grown.items():
        if value < 0:
            raise UnusableInput(f"{name} fell between the two scrapes: the server restarted")
    return grown


def _latencies(before, after, limits):
    histograms = [("event", "kvroute_apply_duration_seconds", limits.event_ms, {})]
    histograms += [(f"routing ({method})", "kvroute_request_duration_seconds", limits.routing_ms, {"method": method})
                   for method in _ROUTING]
    for what, name, bounds, labels in histograms:
        for q, limit in sorted(bounds.items()):
            seconds = quantile(before, after, name, q, **labels)
            if seconds is not None:
                yield _at_most(f"{what} p{q * 100:g} ms", seconds * 1e3, limit)


def judge(before, after, elapsed_s, limits):
    """Checks of everything that was observed between the scrapes; UnusableInput when nothing was."""
    grown = _grown(before, after)
    checks = list(_latencies(before, after, limits))
    if not checks:
        raise UnusableInput("neither events nor routing calls between the two scrapes: nothing to judge")
    if limits.events_per_s > 0:  # none at all is too few
        rate = grown["kvroute_events_total"] / elapsed_s
        checks.append(Check("events per s", rate, limits.events_per_s, rate >= limits.events_per_s))
    failed_calls = (total_except(after, "kvroute_requests_total", "code", _SERVER_FAULTS_EXCLUDED) -
                    total_except(before, "kvroute_requests_total", "code", _SERVER_FAULTS_EXCLUDED))
    errors = (grown["kvroute_events_skipped_total"] + grown["kvroute_batches_rejected_total"] +
              failed_calls)
    handled = sum(grown.values())
    checks.append(_at_most("errors %", 100 * errors / handled if handled else 0.0, limits.error_percent))
    if limits.memory_limit_bytes > 0:
        resident = total(after, "process_resident_memory_bytes")
        checks.append(_at_most("memory % of its limit", 100 * resident / limits.memory_limit_bytes,
                               limits.memory_percent))
    return checks


def local_memory_limit(url):
    """What this machine or container allows, when the server is on it; else 0."""
    if urllib.parse.urlsplit(url).hostname not in ("localhost", "127.0.0.1", "::1"):
        return 0
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            return float(file.read())
    except (OSError, ValueError):  # no cgroup, or "max"
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def watch(url, seconds, command, limits):
    """Judges what happens while `command` runs, or for so many seconds without one."""
    before, start = scrape(url), time.monotonic()
    if command:
        try:
            subprocess.run(command, check=True, stdout=sys.stderr)
        except (OSError, subprocess.CalledProcessError) as error:
            raise UnusableInput(f"the run between the scrapes failed: {error}") from error
    else:
        time.sleep(seconds)
    return judge(before, scrape(url), time.monotonic() - start, limits)


def render(checks):
    lines = [f"{'check':<28} {'value':>12} {'limit':>12}  verdict"]
    for check in checks:
        lines.append(f"{check.what:<28} {check.value:>12.5g} {check.limit:>12.5g}  "
                     f"{'pass' if check.passed else 'FAIL'}")
    return "\n".join(lines)
