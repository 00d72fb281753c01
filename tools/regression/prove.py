"""scripts/prove-gate: shows on real measurements that check-regression catches what it must and lets pass what it must.

A/A: the same build measured again and again; no comparison with the first measurement may fail (as with --confirm: what
does is measured again and must fail twice). Planted: 12 % worse in
latency, throughput or memory, put into a copy of a measurement; each must fail, and nothing else may.
"""

import argparse
import copy
import dataclasses
import os
import re
import sys

from tools.regression import bench, check, compare, metrics
from tools.regression.metrics import Direction
from tools.regression.results import UnusableInput, load

PLANTED = 0.12
CAUGHT = 0.8  # of what is judged, at least; on a machine without neighbours it is all
THRESHOLD = 0.1
# Short, and something of every family.
SHORT = ("^(Match/blocks:512/holders:64/chains:64|Match/blocks:78/holders:1/chains:1024|MatchMiss/prompts:1$"
         "|LargePrefix/tokens:8192|FleetMix/holdings|EventProcessingLatency/blocks:(1|8|64)$"
         "|EventThroughput/workers:16/lanes:1/|MemoryUsage/distinct:1000000/|Decode/vllm_map/blocks_per_event:64"
         "|Concurrency/in_flight:10/|replay/runs)")
KINDS = {"latency": r":\w*p50_ns$", "throughput": r"_per_s$", "memory": r"bytes(_per_(?!s$)[a-z]+)?$"}


def plant(document, chosen):
    """A copy in which the chosen metrics are 12 % worse."""
    worse = copy.deepcopy(document)
    for metric in chosen:
        higher = metrics.direction_of(metric) is Direction.HIGHER_IS_BETTER
        factor = 1 - PLANTED if higher else 1 + PLANTED
        worse["samples"][metric] = [value * factor for value in worse["samples"][metric]]
    return worse


def judged(document, kind):
    return [metric for metric, values in document["samples"].items()
            if re.search(KINDS[kind], metric) and metrics.direction_of(metric) is not Direction.NOT_JUDGED
            and sorted(values)[len(values) // 2] > 0]


@dataclasses.dataclass
class Planted:
    """What became of the figures of one kind, over all measurements."""
    kind: str
    planted: int = 0
    caught: int = 0
    missed: dict = dataclasses.field(default_factory=dict)  # reason -> metrics
    not_judged: dict = dataclasses.field(default_factory=dict)  # the same: said to be measured again, or too small to tell
    false_alarms: int = 0

    @property
    def proven(self):
        judged_ones = self.planted - sum(map(len, self.not_judged.values()))
        return self.caught > 0 and self.caught >= CAUGHT * judged_ones and self.false_alarms == 0


def prove_planted(documents):
    """A Planted of every kind."""
    for kind in KINDS:
        result = Planted(kind)
        for document in documents:
            chosen = judged(document, kind)
            report = compare.compare(document, plant(document, chosen), THRESHOLD)
            rows = {row.metric: row for row in report.comparisons}
            result.planted += len(chosen)
            result.caught += sum(rows[metric].fails for metric in chosen)
            result.false_alarms += sum(row.metric not in chosen for row in report.failures)
            for metric in chosen:
                if rows[metric].spared:
                    said = rows[metric].spared in compare.NOT_JUDGED
                    (result.not_judged if said else result.missed).setdefault(rows[metric].spared, []).append(metric)
        yield result


def prove_same_code(documents, measure_again):
    """([failures at first sight], [failures that failed again]) of each comparison with the first."""
    for other in documents[1:]:
        report = compare.compare(documents[0], other, THRESHOLD)
        again = []
        if report.failures:
            again = compare.confirm(report, documents[0], measure_again(report.failures), THRESHOLD)
        yield report.failures, again


def _measure(options):
    os.makedirs(options.results, exist_ok=True)
    for run in range(options.runs + 1):
        out = os.path.join(options.results, f"run-{run:02d}.json")
        if os.path.exists(out):
            continue
        status = bench.main(["--build", options.build, "--quick", "--filter", options.filter, "--min-time",
                             str(options.min_time), "--repetitions", str(options.repetitions), "--out", out])
        if status != 0:
            raise UnusableInput(f"the measurement {out} failed")


def _parser():
    parser = argparse.ArgumentParser(prog="prove-gate", description=__doc__)
    parser.add_argument("--build", default=os.path.join(bench.SOURCE, "build", "release"))
    parser.add_argument("--results", default=os.path.join(bench.SOURCE, "out", "prove-gate"),
                        help="folder of the measurements; those that are there already are used")
    parser.add_argument("--runs", type=int, default=20, help="comparisons of the same build")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--min-time", type=float, default=0.05)
    parser.add_argument("--filter", default=SHORT)
    return parser


def main(arguments=None):
    options = _parser().parse_args(arguments)
    try:
        _measure(options)
        names = sorted(name for name in os.listdir(options.results) if name.endswith(".json"))
        documents = [load(os.path.join(options.results, name)) for name in names[:options.runs + 1]]
        same_code = list(prove_same_code(documents, lambda failures: check.remeasure(failures, options.build)))
    except (UnusableInput, OSError) as error:
        print(f"prove-gate: {error}", file=sys.stderr)
        return 2
    proven = True
    for run, (failures, again) in enumerate(same_code, 1):
        for row in failures:
            verdict = "and again" if row.metric in {twice.metric for twice in again} else "not when measured again"
            print(f"A/A run {run}: {row.metric} {row.worse:+.1%} fails, {verdict}")
    at_once = sum(not failures for failures, _ in same_code)
    passed = sum(not again for _, again in same_code)
    print(f"A/A: {passed} of {len(same_code)} comparisons of the same build pass, {at_once} at once")
    proven &= passed == len(same_code)
    for result in prove_planted(documents):
        print(f"planted {PLANTED:.0%} in {result.kind}: {result.caught} of {result.planted} caught, "
              f"{result.false_alarms} false alarms")
        for title, reasons in (("missed", result.missed), ("not judged", result.not_judged)):
            for reason, chosen in sorted(reasons.items()):
                print(f"  {len(chosen)} {title}, {reason}: {', '.join(sorted(set(chosen)))}")
        proven &= result.proven
    return 0 if proven else 1


if __name__ == "__main__":
    sys.exit(main())
