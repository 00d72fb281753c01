"""What a metric's name says: its direction, how fine a difference it can show; and which repetitions say what it is."""

import dataclasses
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
    (r":idle_(?!stream_bytes)", Direction.NOT_JUDGED),
    # Two processes beside each other: what is compared is one of kvroute's in parts of the floor's.
    (r"^Picker\w*/.*:((added|floor|inline|quiet)_)?(p50|p99|cpu|picker_cpu|requests)_(ns|per_s)$", Direction.NOT_JUDGED),
    (r"(arithmetic|two_halves|_indexes|_indexes_writer|_memory|_memories)_speedup$", Direction.NOT_JUDGED),  # the machine's
    (r"^Concurrency/.*(mean|p90|p99)_ns$", Direction.NOT_JUDGED),
    (r"^BurstLoad.*:(mean|p90|p99)_ns$", Direction.NOT_JUDGED),
    (r"(_per_s|_per_second|speedup|hit_rate|correct_share|echo_share|floor_share)$", Direction.HIGHER_IS_BETTER),
    (r"(_ns|_ns_per_block|_ms|_bytes|bytes_per_(?!s$|second$)[a-z]+|allocs_per_op|error_rate|failed"
     r"|_ratio)$", Direction.LOWER_IS_BETTER),
]
# Differences up to these, in the metric's unit, are no differences.
_RESOLUTIONS = [
    (r"p99_ns$", 150),          # a cache miss: whose line it was that had to go is chance
    (r"_ms$", 10),              # a time slice or two
    (r"p99_ratio$", 0.3),
    (r"rss_bytes$", 2 << 20),   # a huge page
]
_MEAN_OR_RATE = re.compile(r"(mean_ns|ns_per_block|_per_s|_per_second)$")
_TAIL = re.compile(r"(p90_ns|p99_ns|_ms)$")
_MEDIAN = re.compile(r"p50_ns$")
_MEMORY = re.compile(r"(bytes|bytes_per_(?!s$|second$)[a-z]+|growth_ratio)$")
_PER_ITEM = re.compile(r"(further_holder_)?rss_bytes(_per_[a-z]+)?$")
# Of two things that were measured beside each other, or of few events: noise moves it either way. All else it makes worse.
_EITHER_WAY = re.compile(r"(speedup|_ratio|hit_rate|correct_share|echo_share|floor_share)$")
# Client and server in processes of their own: the client's probe says nothing of the server's core. Such a repetition counts if
# nothing else ran on the machine's cores.
_TWO_PROCESSES = re.compile(r"^(Unary|Stream|Picker\w*)/")
ALONE = 0.05  # foreign cores
# Benchmarks of which every time depends on what ran beside what.
_SIDE_BY_SIDE = re.compile(r"^(Concurrency|QueriesBesideWriter|SecondCore|SecondLane)\b")


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
        return (2 << 20) * each / total if total and total > 0 else 0.0
    for pattern, resolution in _RESOLUTIONS:
        if re.search(pattern, metric):
            return resolution
    return 0.0


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


# A repetition counts only if its core was at most so many times slower than at its best (probe_ns, in the mean; tails change as
# soon as it is slow for a hundredth of the time) ...
SLOWER = 1.06
_SLOWER_FOR_TAILS = 1.015
# ... and its own for so much of the time. A median does not mind.
OWN_CORE = 0.9
# So many must count. The best third of them, and so many at least, must agree within a share: then the figure is known well
# enough to be judged. Of fewer, three that were lucky (where hashes happen to lie) would be taken for the rule.
ENOUGH = 3
AGREE = 0.03
# A measurement goes on until they agree within this.
SETTLED = 0.015


def _undisturbed(metric, values, samples, both):
    if _MEMORY.search(metric) or is_allocations(metric):
        return values
    if _TWO_PROCESSES.search(metric):
        foreign = _aligned(metric, "foreign_cores", samples) or [0.0] * len(values)
        return [value for value, cores in zip(values, foreign) if cores <= ALONE]
    probes, shares = _aligned(metric, "probe_ns", samples), _aligned(metric, "cpu_share", samples)
    count = [True] * len(values)
    if probes is not None and not _EITHER_WAY.search(metric):  # that of a ratio was slow above and below
        best = min(min(_aligned(metric, "probe_ns", each) or probes) for each in both)
        slower = _SLOWER_FOR_TAILS if _TAIL.search(metric) else SLOWER
        count = [probe <= best * slower for probe in probes]
    if shares is not None and (not _MEDIAN.search(metric) or _SIDE_BY_SIDE.search(metric)):
        count = [counts and share >= OWN_CORE for counts, share in zip(count, shares)]
    arithmetic = _aligned(metric, "arithmetic_speedup", samples)
    if arithmetic is not None:  # shows whether the second core was there
        count = [counts and speedup >= max(arithmetic) * OWN_CORE for counts, speedup in zip(count, arithmetic)]
    return [value for value, counts in zip(values, count) if counts]


def undisturbed(metric, samples, *both):
    """values_of those repetitions that had their core, as fast as in the best repetition of both results."""
    return _undisturbed(metric, values_of(metric, samples), samples, both)


def figure_of(metric, samples):
    """To be shown: the median of the undisturbed repetitions, or of all where there are none; as measured."""
    return statistics.median(_undisturbed(metric, samples[metric], samples, [samples]) or samples[metric])


def _apart(a, b):
    """The share by which the larger is larger."""
    low, high = min(a, b), max(a, b)
    return high / low - 1 if low > 0 else 0.0 if low == high else math.inf


@dataclasses.dataclass
class Level:
    """What a figure is when nothing disturbs it."""
    value: float   # the median of those that agree
    agreeing: list
    spread: float  # share by which the best third, three at least, differ

    @property
    def known(self):
        return self.spread <= AGREE


def level_of(metric, values):
    """Noise from outside only makes worse: the best repetitions agree where nothing disturbed them. Of what it moves either
    way, those around the median."""
    if _EITHER_WAY.search(metric):
        middle = statistics.median(values)
        ordered = sorted(values, key=lambda value: abs(value - middle))
    else:
        ordered = sorted(values, reverse=direction_of(metric) is Direction.HIGHER_IS_BETTER)
    nearest = ordered[:max(ENOUGH, math.ceil(len(ordered) / 3))]
    agreeing = [value for value in ordered if _apart(value, ordered[0]) <= AGREE]
    return Level(statistics.median(agreeing), agreeing, _apart(min(nearest), max(nearest)))


def is_settled(metric, samples):
    """Whether further repetitions would make the figure better known. Of tails and memory they are not expected to."""
    if direction_of(metric) is Direction.NOT_JUDGED or _MEMORY.search(metric):
        return True
    steady = _MEDIAN.search(metric) or _MEAN_OR_RATE.search(metric)
    values = undisturbed(metric, samples, samples)
    if not steady and not _EITHER_WAY.search(metric):
        return True
    return len(values) >= ENOUGH and (not steady or level_of(metric, values).spread <= SETTLED)
