"""Compares two results of scripts/bench metric by metric. docs/benchmarks.md, "Regressions", says why each rule is there."""

import dataclasses
import enum
import statistics

from tools.regression import metrics
from tools.regression.metrics import Direction
from tools.regression.results import UnusableInput
from tools.regression.statistics_tests import mann_whitney_p

# With five repetitions a side: at most two of the 25 pairs in the other order.
SIGNIFICANCE = 0.05
# Noise from outside only ever makes a figure worse, and rarely all of them: what got slower is slower at its best too.
# As a share of the threshold.
BEST_SHARE = 0.8
# Why a figure is spared because nothing can be said about it.
NOT_JUDGED = ("below what can be told apart", "the core was slower: measure again", "the machine was shared: measure again")
# Below it an "allocation per operation" is a result buffer that grew once, not a path that allocates.
_ALLOCATES = 0.01


class Severity(enum.IntEnum):
    NONE = 0
    INFO = 1      # 5 to 10 % worse
    WARNING = 2   # 10 to 20 %
    CRITICAL = 3  # above 20 %, or a path without allocations that has one now

    @staticmethod
    def of(worse):
        if worse > 0.20:
            return Severity.CRITICAL
        if worse >= 0.10:
            return Severity.WARNING
        return Severity.INFO if worse >= 0.05 else Severity.NONE


@dataclasses.dataclass
class Comparison:
    metric: str
    baseline: float  # medians
    current: float
    worse: float     # share by which it is worse; negative: better
    p_value: float
    severity: Severity
    fails: bool
    spared: str = ""  # why a figure that is worse by the threshold does not fail

    def to_json(self):
        return {**dataclasses.asdict(self), "severity": self.severity.name.lower()}


def _worse(direction, baseline, current):
    if baseline == current:
        return 0.0
    if direction is Direction.HIGHER_IS_BETTER:
        return 1 - current / baseline if baseline > 0 else 0.0
    return current / baseline - 1 if baseline > 0 else float("inf")


def _best(direction, values):
    return max(values) if direction is Direction.HIGHER_IS_BETTER else min(values)


def _significant(baseline, current, p_value):
    # So few samples can never reach it; then every value must be on one side of all others.
    if len(baseline) < 5 or len(current) < 5:
        return max(baseline) < min(current) or max(current) < min(baseline)
    return p_value < SIGNIFICANCE


def _compare_allocations(metric, baseline, current):
    before, after = statistics.median(baseline), statistics.median(current)
    allocates = after >= _ALLOCATES
    return Comparison(metric, before, after, after - before, mann_whitney_p(baseline, current),
                      Severity.CRITICAL if allocates else Severity.NONE, allocates)


def compare_metric(metric, before, after, threshold):
    """Of two {metric: values}; None for a metric without a direction."""
    direction = metrics.direction_of(metric)
    if direction is Direction.NOT_JUDGED:
        return None
    baseline = metrics.at_full_speed(metric, before, before, after)
    current = metrics.at_full_speed(metric, after, before, after)
    slow = min(len(baseline), len(current)) < min(metrics.enough(metric), len(before[metric]), len(after[metric]))
    if slow:
        baseline, current = metrics.values_of(metric, before), metrics.values_of(metric, after)
    if metrics.is_allocations(metric) and statistics.median(baseline) < _ALLOCATES:
        return _compare_allocations(metric, baseline, current)
    old, new = statistics.median(baseline), statistics.median(current)
    worse = _worse(direction, old, new)
    p_value = mann_whitney_p(baseline, current)
    row = Comparison(metric, old, new, worse, p_value, Severity.of(worse), False)
    if worse < threshold - 1e-9:  # met when it is reached, up to the rounding of the division above
        return row
    best = _worse(direction, _best(direction, baseline), _best(direction, current))
    if slow:
        row.spared = "the core was slower: measure again"
    elif not _significant(baseline, current, p_value):
        row.spared = "not significant"
    elif best < threshold * BEST_SHARE:
        row.spared = "as good at its best"
    elif abs(new - old) <= metrics.resolution_of(metric, before):
        row.spared = "below what can be told apart"
    elif worse < threshold * max(metrics.tolerance(metric, before), metrics.tolerance(metric, after)) - 1e-9:
        row.spared = "the machine was shared: measure again"
    row.fails = not row.spared
    return row


@dataclasses.dataclass
class Report:
    comparisons: list
    only_in_baseline: list
    only_in_current: list
    confirmed: list = None  # metrics that failed again when they were measured again; None: they were not

    @property
    def failures(self):
        return [comparison for comparison in self.comparisons if comparison.fails]

    def to_json(self):
        return {
            "failed": bool(self.failures if self.confirmed is None else self.confirmed),
            "confirmed": self.confirmed,
            "comparisons": [comparison.to_json() for comparison in self.comparisons],
            "only_in_baseline": self.only_in_baseline,
            "only_in_current": self.only_in_current,
        }


def compare(baseline, current, threshold):
    """Both as results.load gives them."""
    before, after = baseline["samples"], current["samples"]
    common = sorted(set(before) & set(after))
    comparisons = [compare_metric(name, before, after, threshold) for name in common]
    comparisons = [comparison for comparison in comparisons if comparison is not None]
    if not comparisons:
        raise UnusableInput("the two results have no metric in common that can be judged")
    comparisons.sort(key=lambda comparison: (not comparison.fails, -comparison.worse))
    return Report(comparisons, sorted(set(before) - set(after)), sorted(set(after) - set(before)))


def confirm(report, baseline, again, threshold):
    """The failures that fail again in a new measurement of them."""
    rows = [compare_metric(row.metric, baseline["samples"], again["samples"], threshold)
            for row in report.failures if row.metric in again["samples"]]
    return [row for row in rows if row.fails]


def render(report, everything=False):
    """A table: what fails and what changed by 5 % or more; every metric when asked."""
    lines = [f"{'metric':<72} {'baseline':>12} {'current':>12} {'worse':>8} {'p':>7}  verdict"]
    for row in report.comparisons:
        if not (everything or row.fails or row.severity is not Severity.NONE):
            continue
        verdict = row.severity.name.lower() + (" FAIL" if row.fails else f" ({row.spared})" if row.spared else "")
        lines.append(f"{row.metric:<72} {row.baseline:>12.5g} {row.current:>12.5g} "
                     f"{row.worse:>+8.1%} {row.p_value:>7.3f}  {verdict}")
    if report.only_in_baseline:
        shown = ", ".join(report.only_in_baseline[:5]) + (", ..." if len(report.only_in_baseline) > 5 else "")
        lines.append(f"{len(report.only_in_baseline)} metrics missing in current: {shown}")
    spared = sum(bool(row.spared) for row in report.comparisons)
    lines.append(f"{len(report.comparisons)} metrics compared, {len(report.failures)} failed"
                 + (f", {spared} worse but spared" if spared else ""))
    return "\n".join(lines)
