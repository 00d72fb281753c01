"""Judges a live server by its /metrics: what happened between two scrapes, against limits."""

import dataclasses
import math
import re
import time
import urllib.error
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


def judge(before, after, elapsed_s, limits):
    """Checks of everything that was observed between the scrapes; UnusableInput when nothing was."""
    checks = []
    for what, name, bounds, labels in (
            ("event", "kvroute_apply_duration_seconds", limits.event_ms, {}),
            ("routing", "kvroute_request_duration_seconds", limits.routing_ms, {"method": "Route"})):
        for q, limit in sorted(bounds.items()):
            seconds = quantile(before, after, name, q, **labels)
            if seconds is not None:
                checks.append(_at_most(f"{what} p{q * 100:g} ms", seconds * 1e3, limit))
    grown = {name: total(after, name) - total(before, name)
             for name in ("kvroute_events_total", "kvroute_events_skipped_total",
                          "kvroute_batches_rejected_total", "kvroute_requests_total")}
    if grown["kvroute_events_total"] > 0:
        rate = grown["kvroute_events_total"] / elapsed_s
        checks.append(Check("events per s", rate, limits.events_per_s, rate >= limits.events_per_s))
    if not checks:
        raise UnusableInput("neither events nor routing calls between the two scrapes: nothing to judge")
    failed_calls = (total_except(after, "kvroute_requests_total", "code", _SERVER_FAULTS_EXCLUDED) -
                    total_except(before, "kvroute_requests_total", "code", _SERVER_FAULTS_EXCLUDED))
    errors = (grown["kvroute_events_skipped_total"] + grown["kvroute_batches_rejected_total"] +
              failed_calls)
    handled = (grown["kvroute_events_total"] + grown["kvroute_events_skipped_total"] +
               grown["kvroute_batches_rejected_total"] + grown["kvroute_requests_total"])
    checks.append(_at_most("errors %", 100 * errors / handled, limits.error_percent))
    if limits.memory_limit_bytes > 0:
        resident = total(after, "process_resident_memory_bytes")
        checks.append(_at_most("memory % of its limit", 100 * resident / limits.memory_limit_bytes,
                               limits.memory_percent))
    return checks


def watch(url, seconds, limits):
    before, start = scrape(url), time.monotonic()
    time.sleep(seconds)
    return judge(before, scrape(url), time.monotonic() - start, limits)


def render(checks):
    lines = [f"{'check':<28} {'value':>12} {'limit':>12}  verdict"]
    for check in checks:
        lines.append(f"{check.what:<28} {check.value:>12.5g} {check.limit:>12.5g}  "
                     f"{'pass' if check.passed else 'FAIL'}")
    return "\n".join(lines)
