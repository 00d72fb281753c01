"""The two-sided Mann-Whitney U test: exact for small samples without ties, normal with tie correction otherwise."""

import functools
import math

_EXACT_LIMIT = 20  # of both sizes; the exact distribution is cheap up to there


@functools.lru_cache(maxsize=None)
def _arrangements(u, m, n):
    """How many orders of m and n distinct values have the statistic u."""
    if u < 0 or m < 0 or n < 0:
        return 0
    if m == 0 or n == 0:
        return 1 if u == 0 else 0
    return _arrangements(u - n, m - 1, n) + _arrangements(u, m, n - 1)


def _ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    ties = []
    first = 0
    while first < len(order):
        end = first
        while end < len(order) and values[order[end]] == values[order[first]]:
            end += 1
        for place in order[first:end]:
            ranks[place] = (first + end + 1) / 2
        ties.append(end - first)
        first = end
    return ranks, ties


def mann_whitney_p(a, b):
    """The chance of a difference at least as large if both came from one distribution; 1 when either is empty."""
    m, n = len(a), len(b)
    if m == 0 or n == 0:
        return 1.0
    ranks, ties = _ranks(list(a) + list(b))
    u = sum(ranks[:m]) - m * (m + 1) / 2
    u = min(u, m * n - u)
    if max(ties) == 1 and m <= _EXACT_LIMIT and n <= _EXACT_LIMIT:
        tail = sum(_arrangements(value, m, n) for value in range(int(u) + 1))
        return min(1.0, 2 * tail / math.comb(m + n, m))
    total = m + n
    correction = sum(t**3 - t for t in ties) / (total * (total - 1))
    variance = m * n / 12 * (total + 1 - correction)
    if variance <= 0:
        return 1.0
    z = max(0.0, m * n / 2 - u - 0.5) / math.sqrt(variance)
    return min(1.0, math.erfc(z / math.sqrt(2)))
