"""What a metric's name says: its direction, how fine a difference it can show, and whether a shared core spoils it."""

import enum
import math
import re
import statistics


class Direction(enum.Enum):
    LOWER_IS_BETTER = "lower"
    HIGHER_IS_BETTER = "higher"
    NOT_JUDGED = "none"


# First match decides. Not judged: the harness's own floor; yardsticks, whose speed is not ours; what a few interrupts
# decide (maxima, the last permille); times of more threads than cores, which are the scheduler's, but for the median.
_DIRECTIONS = [
    (r"(Floor|Flat|MsgpackCxxWalk|_echo|^replay/\w+/(flat|none):)", Direction.NOT_JUDGED),
    (r"(max_ns|max_running_ns|p999_ns|deepest_queue|cpu_share|cores_used|foreign_cores|probe_ns|_million_ops)$", Direction.NOT_JUDGED),
    (r":idle_", Direction.NOT_JUDGED),
    (r"(arithmetic|two_halves|_indexes|_indexes_writer|_memory|_memories)_speedup$", Direction.NOT_JUDGED),  # the machine's
    (r"^Concurrency/.*(mean|p90|p99)_ns$", Direction.NOT_JUDGED),
    (r"^BurstLoad.*:(mean|p90|p99)_ns$", Direction.NOT_JUDGED),
    (r"(_per_s|_per_second|speedup|hit_rate|correct_share|echo_share)$", Direction.HIGHER_IS_BETTER),
    (r"(_ns|_ns_per_block|_ms|_bytes|bytes_per_(?!s$|second$)[a-z]+|allocs_per_op|error_rate|failed"
     r"|_ratio)$", Direction.LOWER_IS_BETTER),
]
# Differences up to these, in the metric's unit, are no differences.
_RESOLUTIONS = [
    (r"p99_ns$", 150),          # a cache miss: whose line it was that had to go is chance
    (r"_ms$", 10),              # a time slice or two
    (r"p99_ratio$", 0.3),
    (r"rss_bytes$", 4 << 20),   # two huge pages
]
# What a core that was taken away now and then changes in proportion; and what it changes in no way that can be corrected.
_MEAN_OR_RATE = re.compile(r"(mean_ns|ns_per_block|_per_s|_per_second)$")
_TAIL = re.compile(r"(p90_ns|p99_ns|p99_ratio|speedup|_ms)$")
_MEMORY = re.compile(r"(bytes|bytes_per_(?!s$|second$)[a-z]+|growth_ratio)$")
_PER_ITEM = re.compile(r"(further_holder_)?rss_bytes(_per_[a-z]+)?$")
# Benchmarks of which every time depends on what ran beside what.
_SIDE_BY_SIDE = re.compile(r"^(Concurrency|QueriesBesideWriter|SecondCore)\b")


def direction_of(metric):
    for pattern, direction in _DIRECTIONS:
        if re.search(pattern, metric):
            return direction
    return Direction.NOT_JUDGED


def is_allocations(metric):
    return metric.endswith("allocs_per_op")


def _of_same_benchmark(metric, counter, samples):
    values = samples.get(metric.rsplit(":", 1)[0] + ":" + counter)
    return statistics.median(values) if values else None


def resolution_of(metric, samples):
    """`samples`: of the result that has the metric."""
    if _PER_ITEM.search(metric) and not metric.endswith(":rss_bytes"):
        total = _of_same_benchmark(metric, "rss_bytes", samples)
        each = statistics.median(samples[metric])
        return (4 << 20) * each / total if total and total > 0 else 0.0
    for pattern, resolution in _RESOLUTIONS:
        if re.search(pattern, metric):
            return resolution
    return 0.0


def tolerance(metric, samples):
    """How many times the threshold a difference must be, given what else the machine did: 1 on a machine of its own."""
    if _MEMORY.search(metric) or is_allocations(metric):
        return 1
    share = _of_same_benchmark(metric, "cpu_share", samples)
    foreign = _of_same_benchmark(metric, "foreign_cores", samples)
    share = 1.0 if share is None else share
    foreign = 0.0 if foreign is None else foreign
    if _TAIL.search(metric):  # a sibling core that is busy now and then is enough
        return math.inf if share < 0.9 or foreign > 0.25 else 1
    if _SIDE_BY_SIDE.search(metric):
        return math.inf if share < 0.9 else 1
    if _MEAN_OR_RATE.search(metric):
        return math.inf if share < 0.85 or foreign > 0.5 else 1
    return 2 if foreign > 0.5 else 1


def _aligned(metric, counter, samples):
    """The counter's value beside each value of the metric; None when it is not known."""
    values = samples.get(metric.rsplit(":", 1)[0] + ":" + counter)
    return values if values and len(values) == len(samples[metric]) else None


def values_of(metric, samples):
    """To be compared: means and rates by processor time instead of wall time, where that is known."""
    values, shares = samples[metric], _aligned(metric, "cpu_share", samples)
    if shares is None or not _MEAN_OR_RATE.search(metric):
        return values
    if direction_of(metric) is Direction.HIGHER_IS_BETTER:
        return [value / max(share, 0.01) for value, share in zip(values, shares)]
    return [value * share for value, share in zip(values, shares)]


# A core may be so much slower than at its best (probe_ns, in the mean) for what was measured on it to count; tails change as
# soon as it is slow for a hundredth of the time.
SLOWER = 1.06
_SLOWER_FOR_TAILS = 1.015


def enough(metric):
    """Repetitions at full speed that either side must have. A median is not moved by a core that is slow now and then."""
    return 1 if metric.endswith("p50_ns") and not _SIDE_BY_SIDE.search(metric) else 3


def _at_full_speed(metric, values, samples, both):
    probes = _aligned(metric, "probe_ns", samples)
    if probes is None or _MEMORY.search(metric) or is_allocations(metric):
        return values
    best = min(min(_aligned(metric, "probe_ns", each) or probes) for each in both)
    slower = _SLOWER_FOR_TAILS if _TAIL.search(metric) else SLOWER
    return [value for value, probe in zip(values, probes) if probe <= best * slower]


def at_full_speed(metric, samples, *both):
    """values_of those repetitions during which the core was as fast as in the best repetition of both results."""
    return _at_full_speed(metric, values_of(metric, samples), samples, both)


def figure_of(metric, samples):
    """To be shown: the median of the repetitions at full speed, as measured."""
    return statistics.median(_at_full_speed(metric, samples[metric], samples, [samples]))
