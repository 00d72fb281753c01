"""Compares two results of scripts/bench metric by metric. docs/benchmarks.md, "Regressions", says why each rule is there."""

import dataclasses
import enum
import statistics

from tools.regression import metrics
from tools.regression.metrics import Direction
from tools.regression.results import UnusableInput
from tools.regression.statistics_tests import mann_whitney_p

SIGNIFICANCE = 0.05
# What is worse by the threshold, less what either side is uncertain by, fails; but never by less than this share of it.
LEAST_SHARE = 0.75
# A figure that is too uncertain for the threshold still fails at so many times it and what it is uncertain by.
COARSE = 1.5
# Why a figure is not judged at the threshold.
DISTURBED = "fewer than three undisturbed repetitions: measure again"
DISAGREE = "the best repetitions disagree: measure again"
TOO_SMALL = "below what can be told apart"
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
    not_judged: str = ""  # why the threshold could not be told from noise, whatever the figure is

    def to_json(self):
        return {**dataclasses.asdict(self), "severity": self.severity.name.lower()}


def _worse(direction, baseline, current):
    if baseline == current:
        return 0.0
    if direction is Direction.HIGHER_IS_BETTER:
        return 1 - current / baseline if baseline > 0 else 0.0
    return current / baseline - 1 if baseline > 0 else float("inf")


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


def _judge(row, metric, old, new, threshold, resolution):
    """Sets why the row is not judged, and whether it fails."""
    doubt = old.spread + new.spread
    if not (old.known and new.known):
        row.not_judged = DISAGREE
        limit = threshold * COARSE + doubt
    else:
        limit = max(threshold - doubt, threshold * LEAST_SHARE)
    difference = abs(row.current - row.baseline)
    if not row.not_judged and threshold * abs(row.baseline) < resolution and difference <= resolution:
        row.not_judged = TOO_SMALL
    # Met when it is reached, up to the rounding of the division.
    row.fails = row.worse >= limit - 1e-9 and difference > resolution and \
        _significant(old.agreeing, new.agreeing, row.p_value)
    if row.fails:
        row.severity = max(row.severity, Severity.of(threshold))
        row.not_judged = ""


def compare_metric(metric, before, after, threshold):
    """Of two {metric: values}; None for a metric without a direction."""
    direction = metrics.direction_of(metric)
    if direction is Direction.NOT_JUDGED:
        return None
    if metrics.is_allocations(metric) and statistics.median(before[metric]) < _ALLOCATES:
        return _compare_allocations(metric, before[metric], after[metric])
    baseline, current = (metrics.undisturbed(metric, each, before, after) for each in (before, after))
    disturbed = min(len(baseline), len(current)) < metrics.ENOUGH
    if disturbed:
        baseline, current = metrics.values_of(metric, before), metrics.values_of(metric, after)
    old, new = metrics.level_of(metric, baseline), metrics.level_of(metric, current)
    worse = _worse(direction, old.value, new.value)
    row = Comparison(metric, old.value, new.value, worse, mann_whitney_p(old.agreeing, new.agreeing), Severity.of(worse), False)
    if disturbed:
        row.not_judged = DISTURBED
    else:
        _judge(row, metric, old, new, threshold, metrics.resolution_of(metric, before))
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

    @property
    def not_judged(self):
        """{reason: [metrics]}"""
        reasons = {}
        for comparison in self.comparisons:
            if comparison.not_judged:
                reasons.setdefault(comparison.not_judged, []).append(comparison.metric)
        return reasons

    def to_json(self):
        return {
            "failed": bool(self.failures if self.confirmed is None else self.confirmed),
            "confirmed": self.confirmed,
            "not_judged": self.not_judged,
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
            for row in report.failures if row.metric in again["samples"] and row.metric in baseline["samples"]]
    return [row for row in rows if row.fails]


def render(report, everything=False):
    """A table: what fails and what changed by 5 % or more; every metric when asked."""
    lines = [f"{'metric':<72} {'baseline':>12} {'current':>12} {'worse':>8} {'p':>7}  verdict"]
    for row in report.comparisons:
        if not (everything or row.fails or row.severity is not Severity.NONE):
            continue
        verdict = row.severity.name.lower() + (" FAIL" if row.fails else f" ({row.not_judged})" if row.not_judged else "")
        lines.append(f"{row.metric:<72} {row.baseline:>12.5g} {row.current:>12.5g} "
                     f"{row.worse:>+8.1%} {row.p_value:>7.3f}  {verdict}")
    if report.only_in_baseline:
        shown = ", ".join(report.only_in_baseline[:5]) + (", ..." if len(report.only_in_baseline) > 5 else "")
        lines.append(f"{len(report.only_in_baseline)} metrics missing in current: {shown}")
    judged = sum(not row.not_judged for row in report.comparisons)
    lines.append(f"{len(report.comparisons)} metrics compared, {judged} judged, {len(report.failures)} failed")
    for reason, names in sorted(report.not_judged.items()):
        lines.append(f"{len(names)} not judged, {reason}: {', '.join(sorted(names))}")
    return "\n".join(lines)
