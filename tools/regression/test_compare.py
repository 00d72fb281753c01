import json
import os
import random
import tempfile
import unittest

from tools.regression import check, compare, metrics
from tools.regression.results import UnusableInput
from tools.regression.statistics_tests import mann_whitney_p

BASE = {
    "Match/blocks:512:p50_ns": 400.0,
    "Match/blocks:512:p99_ns": 1500.0,
    "EventThroughput/workers:16:events_per_s": 1.2e6,
    "replay/conversation/runs:block_ops_per_s": 32e6,
    "replay/conversation/runs:store_ns_per_block": 40.0,
    "MemoryAfterChurn/blocks:100000:rss_bytes_per_holding": 28.0,
    "BurstLoad/events:1000:deepest_queue": 60.0,
    "Match/blocks:512:max_ns": 90_000.0,
    "MatchFloor:p50_ns": 18.0,
}


def measure(rng, factors=None, repetitions=9):
    """A run of the benchmarks on a shared machine: noise that makes 2 % worse, and every fourth repetition is disturbed."""
    samples = {}
    for metric, value in BASE.items():
        value *= (factors or {}).get(metric, 1.0)
        higher = metrics.direction_of(metric) is metrics.Direction.HIGHER_IS_BETTER
        values = []
        for _ in range(repetitions):
            noise = 1 + abs(rng.gauss(0, 0.02))
            if rng.random() < 0.25:
                noise *= 1 + rng.random()
            values.append(value / noise if higher else value * noise)
        samples[metric] = values
    samples["Match/blocks:512:allocs_per_op"] = [0.0] * repetitions
    return {"samples": samples}


class CompareTest(unittest.TestCase):
    def setUp(self):
        self.seed = random.SystemRandom().randrange(2**32)
        self.rng = random.Random(self.seed)
        print(f"seed {self.seed}")

    def failed(self, report):
        return {comparison.metric for comparison in report.failures}

    def test_catches_every_planted_regression_of_12_percent(self):
        for metric in ("Match/blocks:512:p50_ns", "replay/conversation/runs:store_ns_per_block",
                       "EventThroughput/workers:16:events_per_s", "replay/conversation/runs:block_ops_per_s",
                       "MemoryAfterChurn/blocks:100000:rss_bytes_per_holding"):
            factor = 0.88 if metric.endswith("_per_s") else 1.12
            baseline = {"samples": {metric: [BASE[metric] * f for f in (0.995, 1, 1.002, 1.004, 1.01)]}}
            current = {"samples": {metric: [value * factor for value in baseline["samples"][metric]]}}
            with self.subTest(metric):
                report = compare.compare(baseline, current, 0.1)
                self.assertEqual(self.failed(report), {metric})
                self.assertEqual(report.failures[0].severity, compare.Severity.WARNING)
                self.assertAlmostEqual(report.failures[0].worse, 0.12)

    def test_catches_planted_regressions_under_noise(self):
        planted = {"Match/blocks:512:p50_ns": 1.12, "EventThroughput/workers:16:events_per_s": 0.88,
                   "MemoryAfterChurn/blocks:100000:rss_bytes_per_holding": 1.12}
        caught = 0
        for _ in range(20):
            report = compare.compare(measure(self.rng), measure(self.rng, planted), 0.1)
            caught += len(set(planted) & self.failed(report))
        self.assertGreaterEqual(caught, 54, f"of 60; seed {self.seed}")

    def test_passes_twenty_runs_of_the_same_code(self):
        failures = [self.failed(compare.compare(measure(self.rng), measure(self.rng), 0.1)) for _ in range(20)]
        self.assertEqual([names for names in failures if names], [], f"seed {self.seed}")

    def test_improvements_are_not_failures(self):
        better = {"Match/blocks:512:p50_ns": 0.5, "replay/conversation/runs:block_ops_per_s": 2.0}
        report = compare.compare(measure(self.rng), measure(self.rng, better), 0.1)
        self.assertEqual(self.failed(report), set())

    def test_a_first_allocation_is_critical_however_small(self):
        baseline, current = measure(self.rng), measure(self.rng)
        current["samples"]["Match/blocks:512:allocs_per_op"] = [1.0] * 9
        report = compare.compare(baseline, current, threshold=5)
        self.assertEqual(self.failed(report), {"Match/blocks:512:allocs_per_op"})
        self.assertEqual(report.failures[0].severity, compare.Severity.CRITICAL)

    def test_severities(self):
        severity = compare.Severity.of
        self.assertEqual([severity(w).name for w in (-0.5, 0.04, 0.05, 0.099, 0.1, 0.2, 0.21)],
                         ["NONE", "NONE", "INFO", "INFO", "WARNING", "WARNING", "CRITICAL"])

    def test_maxima_and_floors_are_not_judged(self):
        judged = {c.metric for c in compare.compare(measure(self.rng), measure(self.rng), 0.1).comparisons}
        self.assertNotIn("Match/blocks:512:max_ns", judged)
        self.assertNotIn("MatchFloor:p50_ns", judged)

    def row(self, metric, baseline, current, **others):
        before, after = {metric: baseline}, {metric: current}
        for counter, (old, new) in others.items():
            name = metric.rsplit(":", 1)[0] + ":" + counter
            before[name] = old if isinstance(old, list) else [old] * len(baseline)
            after[name] = new if isinstance(new, list) else [new] * len(current)
        return compare.compare_metric(metric, before, after, 0.1)

    def test_what_is_as_good_at_its_best_is_noise(self):
        quiet = [100, 101, 102, 103, 104]
        row = self.row("A:p50_ns", quiet, [101, 102, 102, 125, 131])
        self.assertEqual((row.fails, row.not_judged), (False, ""))
        self.assertTrue(self.row("A:p50_ns", quiet, [113, 114, 115, 125, 131]).fails)

    def test_three_repetitions_must_agree(self):
        quiet, noisy = [100, 101, 102, 103, 104], [112, 118, 120, 125, 131]
        row = self.row("A:p50_ns", quiet, noisy)
        self.assertEqual((row.fails, row.not_judged), (False, compare.DISAGREE))
        self.assertEqual(self.row("A:p50_ns", noisy, quiet).not_judged, compare.DISAGREE)
        self.assertEqual(self.row("A:p50_ns", quiet[:2], quiet).not_judged, compare.DISTURBED)

    def test_three_lucky_ones_of_many_are_not_enough(self):
        usual = [100.0 + i / 100 for i in range(17)]
        self.assertEqual(self.row("A:p50_ns", usual, [90.0, 90.1, 90.2] + usual).not_judged, compare.DISAGREE)

    def test_what_is_not_judged_at_the_threshold_still_fails_when_it_is_much_worse(self):
        row = self.row("A:p50_ns", [100, 101, 102, 103, 104], [150, 158, 160, 165, 171])
        self.assertEqual((row.fails, row.not_judged), (True, ""))

    def test_the_threshold_is_nearer_by_what_the_figures_are_uncertain_by(self):
        self.assertFalse(self.row("A:p50_ns", [100] * 5, [109] * 5).fails)
        self.assertTrue(self.row("A:p50_ns", [100, 101, 101.5, 102, 103], [110, 110.5, 111.5, 113, 114]).fails)
        self.assertFalse(self.row("A:p50_ns", [100, 102, 103, 103, 103], [107, 109, 110, 110, 110]).fails)

    def test_a_ratio_is_moved_either_way_and_its_middle_counts(self):
        row = self.row("SecondCore:two_readers_speedup", [1.9, 1.91, 1.92, 1.7, 2.2], [1.89, 1.91, 1.9, 2.3, 1.6])
        self.assertEqual((row.fails, row.not_judged), (False, ""))
        self.assertTrue(self.row("SecondCore:two_readers_speedup", [1.9, 1.91, 1.92, 1.7, 2.2],
                                 [1.6, 1.61, 1.62, 2.0, 1.5]).fails)

    def test_what_cannot_be_told_apart_is_not_judged_whatever_it_is(self):
        for current in (3e6, 4e6):
            self.assertEqual(self.row("A:rss_bytes", [3e6] * 5, [current] * 5).not_judged, compare.TOO_SMALL)
        self.assertTrue(self.row("A:rss_bytes", [3e6] * 5, [9e6] * 5).fails)
        self.assertTrue(self.row("A:rss_bytes", [60e6] * 5, [67.2e6] * 5).fails)
        self.assertEqual(self.row("A:rss_bytes_per_holding", [60] * 5, [80] * 5, rss_bytes=(6e6, 8e6)).not_judged,
                         compare.TOO_SMALL)
        self.assertTrue(self.row("A:rss_bytes_per_holding", [30] * 5, [33.6] * 5, rss_bytes=(60e6, 67e6)).fails)
        self.assertFalse(self.row("A:recovery_ms", [0] * 5, [4] * 5).fails)

    def test_what_had_not_its_core_does_not_count_but_for_a_median(self):
        fast, slow = [1000, 1001, 1002, 1003, 1004], [1500, 1501, 1502, 1503, 1504]
        for metric in ("A:p99_ns", "A:mean_ns", "Concurrency/in_flight:2:query_p50_ns"):
            self.assertEqual(self.row(metric, fast, slow, cpu_share=(1, 0.8)).not_judged, compare.DISTURBED)
            self.assertTrue(self.row(metric, fast, slow, cpu_share=(1, 0.98)).fails)
        self.assertTrue(self.row("A:p50_ns", fast, slow, cpu_share=(1, 0.5)).fails)
        self.assertTrue(self.row("A:index_bytes", fast, slow, cpu_share=(1, 0.5), probe_ns=(700, 1400)).fails)

    def test_only_repetitions_at_full_speed_are_compared(self):
        def compared(current, probes, metric="A:mean_ns"):
            return self.row(metric, [100, 101, 102, 103, 104], current, probe_ns=(770.0, probes))
        neighbour = [1400.0, 1390.0]
        self.assertLess(compared([180, 182, 100, 102, 104], neighbour + [771.0] * 3).worse, 0.02)
        self.assertTrue(compared([180, 182, 112, 114, 115], neighbour + [771.0] * 3).fails)
        two_left = neighbour + [1400.0, 771.0, 771.0]
        self.assertEqual(compared([180, 182, 181, 102, 104], two_left).not_judged, compare.DISTURBED)

    def test_the_report_lists_what_is_not_judged(self):
        samples = {"A:p50_ns": [100.0] * 5, "B:rss_bytes": [3e6] * 5, "C:p50_ns": [100.0, 110, 120]}
        report = compare.compare({"samples": samples}, {"samples": samples}, 0.1)
        self.assertEqual(report.not_judged, {compare.TOO_SMALL: ["B:rss_bytes"], compare.DISAGREE: ["C:p50_ns"]})
        text = compare.render(report)
        self.assertIn("3 metrics compared, 1 judged, 0 failed", text)
        self.assertIn(f"1 not judged, {compare.TOO_SMALL}: B:rss_bytes", text)

    def test_rates_are_compared_by_processor_time(self):
        def compared(share):
            before = {"A:events_per_s": [1e6] * 5, "A:cpu_share": [1.0] * 5}
            after = {"A:events_per_s": [0.7e6] * 5, "A:cpu_share": [share] * 5}
            return compare.compare_metric("A:events_per_s", before, after, 0.1)
        self.assertTrue(compared(1.0).fails)
        self.assertFalse(compared(0.92).not_judged)
        self.assertAlmostEqual(compared(0.92).worse, 1 - 0.7 / 0.92)
        self.assertEqual(compared(0.7).not_judged, compare.DISTURBED)

    def test_every_kind_of_metric_has_the_right_direction(self):
        lower = ("X:p99_ns", "X:store_ns_per_block", "X:recovery_ms", "X:index_bytes_per_block", "X:error_rate",
                 "X:further_holder_rss_bytes", "X:growth_ratio")
        higher = ("X:events_per_s", "SecondCore:two_readers_speedup", "RouteUnary:echo_share")
        ignored = ("X:matches", "X:cpu_share", "MatchFlat/a:1:p50_ns", "Unary/sync_echo/threads:8:items_per_second",
                   "replay/conversation/flat:block_ops_per_s", "Concurrency/in_flight:500:query_mean_ns")
        for direction, names in ((metrics.Direction.LOWER_IS_BETTER, lower),
                                 (metrics.Direction.HIGHER_IS_BETTER, higher),
                                 (metrics.Direction.NOT_JUDGED, ignored)):
            self.assertEqual({metrics.direction_of(name) for name in names}, {direction})

    def test_nothing_in_common_is_unusable(self):
        with self.assertRaises(UnusableInput):
            compare.compare({"samples": {"A:p50_ns": [1.0]}}, {"samples": {"B:p50_ns": [1.0]}}, 0.1)


class MannWhitneyTest(unittest.TestCase):
    def test_exact_values(self):
        self.assertAlmostEqual(mann_whitney_p([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]), 2 / 252)
        self.assertAlmostEqual(mann_whitney_p([1, 4], [2, 3]), 1.0)
        # One pair out of order: u = 1, two arrangements a side.
        self.assertAlmostEqual(mann_whitney_p([1, 2, 3, 4, 6], [5, 7, 8, 9, 10]), 4 / 252)

    def test_ties_and_large_samples_use_the_normal_distribution(self):
        self.assertEqual(mann_whitney_p([1] * 10, [1] * 10), 1.0)
        self.assertLess(mann_whitney_p(list(range(30)), list(range(40, 70))), 1e-9)
        self.assertGreater(mann_whitney_p([1, 2, 2, 3] * 5, [1, 2, 3, 3] * 5), 0.2)
        self.assertEqual(mann_whitney_p([], [1]), 1.0)


class CommandTest(unittest.TestCase):
    def run_with(self, baseline, current, *more):
        with tempfile.TemporaryDirectory() as directory:
            paths = []
            for name, content in (("baseline", baseline), ("current", current)):
                paths.append(os.path.join(directory, name))
                with open(paths[-1], "w", encoding="utf-8") as file:
                    file.write(content if isinstance(content, str) else json.dumps(content))
            out = os.path.join(directory, "report.json")
            status = check.main(["--baseline", paths[0], "--current", paths[1], "--json", out, *more])
            report = None
            if os.path.exists(out):
                with open(out, encoding="utf-8") as file:
                    report = json.load(file)
            return status, report

    def test_exit_statuses(self):
        good = {"samples": {"A:p50_ns": [100, 101, 102, 103, 104]}}
        bad = {"samples": {"A:p50_ns": [112, 113, 114, 115, 116.5]}}
        self.assertEqual(self.run_with(good, good)[0], 0)
        status, report = self.run_with(good, bad)
        self.assertEqual(status, 1)
        self.assertTrue(report["failed"])
        self.assertEqual(report["comparisons"][0]["severity"], "warning")
        self.assertEqual(self.run_with(good, bad, "--threshold", "0.2")[0], 0)

    def test_unusable_input_is_2(self):
        good = {"samples": {"A:p50_ns": [1.0]}}
        for broken in ("", "[]", "{}", '{"samples": {}}', '{"samples": {"A:p50_ns": []}}',
                       '{"samples": {"A:p50_ns": ["fast"]}}', '{"samples": {"A:p50_ns": [NaN]}}'):
            self.assertEqual(self.run_with(good, broken)[0], 2, broken)
        self.assertEqual(check.main(["--baseline", "/nonexistent", "--current", "/nonexistent"]), 2)
        self.assertEqual(check.main([]), 2)
        self.assertEqual(self.run_with(good, good, "--threshold", "-1")[0], 2)


if __name__ == "__main__":
    unittest.main()
