"""scripts/prove-gate: shows on real measurements that check-regression catches what it must and lets pass what it must.

A/A: the same build measured again and again; no comparison with the first measurement may fail (as with --confirm: what
does is measured again and must fail twice). Planted: 12 % worse in latency, throughput or memory, put into a copy of each
measurement, which is compared with the measurement before it; all that is judged must fail, and nothing else may. What is
not judged is listed, with the rule that says why.
"""

import argparse
import collections
import copy
import dataclasses
import os
import re
import sys

from tools.regression import bench, check, compare, metrics
from tools.regression.metrics import Direction
from tools.regression.results import UnusableInput, load

PLANTED = 0.12
JUDGED = 0.5  # of the figures of each kind, at least; of those all must be caught
THRESHOLD = 0.1
# Short, and something of every family.
SHORT = ("^(Match/blocks:512/holders:64/chains:64|Match/blocks:78/holders:1/chains:1024|MatchMiss/prompts:1$"
         "|LargePrefix/tokens:8192|FleetMix/holdings|EventProcessingLatency/blocks:(1|8|64)$"
         "|EventThroughput/workers:16/lanes:1/|MemoryUsage/distinct:1000000/|Decode/vllm_map/blocks_per_event:64"
         "|Concurrency/in_flight:10/|replay/runs)")
KINDS = {"latency": r":\w*(p50_ns|mean_ns|ns_per_block)$", "throughput": r"_per_s$", "memory": r"bytes(_per_(?!s$)[a-z]+)?$"}


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
    judged: int = 0
    caught: int = 0
    missed: list = dataclasses.field(default_factory=list)  # metrics
    not_judged: dict = dataclasses.field(default_factory=dict)  # reason -> metrics
    false_alarms: list = dataclasses.field(default_factory=list)  # metrics that were not planted

    @property
    def proven(self):
        return not self.missed and not self.false_alarms and self.caught > 0 and self.judged >= JUDGED * self.planted

    def add(self, chosen, before, document):
        """Plants the chosen metrics of one measurement and compares it with another one."""
        rows = {row.metric: row for row in compare.compare(before, plant(document, chosen), THRESHOLD).comparisons}
        self.planted += len(chosen)
        for metric in chosen:
            if rows[metric].not_judged:
                self.not_judged.setdefault(rows[metric].not_judged, []).append(metric)
                continue
            self.judged += 1
            self.caught += rows[metric].fails
            self.missed += [] if rows[metric].fails else [metric]
        as_they_are = {row.metric for row in compare.compare(before, document, THRESHOLD).failures}
        self.false_alarms += [name for name, row in rows.items()
                              if row.fails and name not in chosen and name not in as_they_are]


def prove_planted(documents):
    """A Planted of every kind."""
    for kind in KINDS:
        result = Planted(kind)
        for before, document in zip(documents, documents[1:]):
            result.add([metric for metric in judged(document, kind) if metric in before["samples"]], before, document)
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
        print(f"planted {PLANTED:.0%} in {result.kind}: {result.caught} of {result.judged} judged are caught, "
              f"{len(result.false_alarms)} false alarms; {result.planted - result.judged} of {result.planted} not judged")
        listed = [("missed", result.missed), ("false alarm", result.false_alarms)]
        listed += [(f"not judged, {reason}", names) for reason, names in sorted(result.not_judged.items())]
        for title, names in listed:
            for name, times in sorted(collections.Counter(names).items()):
                print(f"  {title}: {name} ({times} times)")
        proven &= result.proven
    return 0 if proven else 1


if __name__ == "__main__":
    sys.exit(main())
