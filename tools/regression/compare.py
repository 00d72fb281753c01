"""Compares two results of scripts/bench metric by metric."""

import dataclasses
import enum
import re
import statistics

from tools.regression.results import UnusableInput
from tools.regression.statistics_tests import mann_whitney_p

# With five repetitions a side: at most two of the 25 pairs in the other order.
SIGNIFICANCE = 0.05


class Direction(enum.Enum):
    LOWER_IS_BETTER = "lower"
    HIGHER_IS_BETTER = "higher"
    NOT_JUDGED = "none"


# First match decides. Maxima, the last permille and the harness's own floor are recorded but not judged: a few interrupts
# decide them.
_DIRECTIONS = [
    (r"Floor", Direction.NOT_JUDGED),
    (r"(max|p999)_ns$", Direction.NOT_JUDGED),
    (r":.*idle_", Direction.NOT_JUDGED),
    (r"(_per_s|_per_second|speedup|hit_rate|correct_share|echo_share)$", Direction.HIGHER_IS_BETTER),
    (r"(_ns|_ns_per_block|_ms|_bytes|bytes_per_[a-z]+|allocs_per_op|error_rate|failed|deepest_queue"
     r"|_ratio)$", Direction.LOWER_IS_BETTER),
]
_ALLOCATIONS = re.compile(r"allocs_per_op$")
# Below it an "allocation per operation" is a result buffer that grew once, not a path that allocates.
_ALLOCATES = 0.01


def direction_of(metric):
    for pattern, direction in _DIRECTIONS:
        if re.search(pattern, metric):
            return direction
    return Direction.NOT_JUDGED


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


def compare_metric(metric, baseline, current, threshold):
    """None for a metric without a direction."""
    direction = direction_of(metric)
    if direction is Direction.NOT_JUDGED:
        return None
    before, after = statistics.median(baseline), statistics.median(current)
    p_value = mann_whitney_p(baseline, current)
    if _ALLOCATIONS.search(metric) and before < _ALLOCATES:
        allocates = after >= _ALLOCATES
        severity = Severity.CRITICAL if allocates else Severity.NONE
        return Comparison(metric, before, after, after - before, p_value, severity, allocates)
    worse = _worse(direction, before, after)
    # A threshold is met when it is reached, up to the rounding of the division above.
    fails = worse >= threshold - 1e-9 and _significant(baseline, current, p_value)
    return Comparison(metric, before, after, worse, p_value, Severity.of(worse), fails)


@dataclasses.dataclass
class Report:
    comparisons: list
    only_in_baseline: list
    only_in_current: list

    @property
    def failures(self):
        return [comparison for comparison in self.comparisons if comparison.fails]

    def to_json(self):
        return {
            "failed": bool(self.failures),
            "comparisons": [comparison.to_json() for comparison in self.comparisons],
            "only_in_baseline": self.only_in_baseline,
            "only_in_current": self.only_in_current,
        }


def compare(baseline, current, threshold):
    """Both as results.load gives them."""
    before, after = baseline["samples"], current["samples"]
    common = sorted(set(before) & set(after))
    comparisons = [compare_metric(name, before[name], after[name], threshold) for name in common]
    comparisons = [comparison for comparison in comparisons if comparison is not None]
    if not comparisons:
        raise UnusableInput("the two results have no metric in common that can be judged")
    comparisons.sort(key=lambda comparison: -comparison.worse)
    return Report(comparisons, sorted(set(before) - set(after)), sorted(set(after) - set(before)))


def render(report, everything=False):
    """A table: what fails and what changed by 5 % or more; every metric when asked."""
    lines = [f"{'metric':<72} {'baseline':>12} {'current':>12} {'worse':>8} {'p':>7}  verdict"]
    for row in report.comparisons:
        if not (everything or row.fails or row.severity is not Severity.NONE):
            continue
        verdict = row.severity.name.lower() + (" FAIL" if row.fails else " (not significant)"
                                               if row.severity >= Severity.WARNING else "")
        lines.append(f"{row.metric:<72} {row.baseline:>12.5g} {row.current:>12.5g} "
                     f"{row.worse:>+8.1%} {row.p_value:>7.3f}  {verdict}")
    for name in report.only_in_baseline:
        lines.append(f"{name:<72} missing in current")
    lines.append(f"{len(report.comparisons)} metrics compared, {len(report.failures)} failed")
    return "\n".join(lines)
