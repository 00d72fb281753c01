import os
import re
import tempfile
import unittest

from tools.regression import must_reach, page, results

GOOGLE = {"benchmarks": [
    {"name": "Match/blocks:8", "run_name": "Match/blocks:8", "run_type": "iteration", "iterations": 10,
     "cpu_time": 1.5, "real_time": 1.6, "time_unit": "us", "p50_ns": 400.0, "allocs_per_op": 0},
    {"name": "Match/blocks:8", "run_name": "Match/blocks:8", "run_type": "iteration", "iterations": 10,
     "cpu_time": 1.5, "real_time": 1.6, "time_unit": "us", "p50_ns": 420.0, "allocs_per_op": 0},
    {"name": "Match/blocks:8_mean", "run_name": "Match/blocks:8", "run_type": "aggregate",
     "aggregate_name": "mean", "p50_ns": 410.0, "cpu_time": 1.5, "time_unit": "us"},
    {"name": "Burst/iterations:1", "run_name": "Burst/iterations:1", "run_type": "iteration",
     "cpu_time": 2.0, "time_unit": "ms"},
    {"name": "Broken", "run_name": "Broken", "run_type": "iteration", "error_occurred": True},
]}


def times(operations=10):
    return {"operations": operations, "blocks": 100, "mean_ns": 5.0, "ns_per_block": 0.5, "p50_ns": 4.0,
            "p99_ns": 9.0, "p999_ns": 10.0}


REPLAY = {"runs": [{"query": times(), "query_with_chaining": times(), "store": times(), "remove": times(),
                    "clear": times(0), "block_ops_per_s": 31e6, "requested_block_ops_per_s": 35e6,
                    "cpu_share": 0.98, "memory": {"rss_bytes_per_holding": 28.0, "rss_growth_bytes": 28e6}}]}


class ReadTest(unittest.TestCase):
    def test_google_benchmark(self):
        self.assertEqual(results.from_google_benchmark(GOOGLE), {
            "Match/blocks:8:p50_ns": [400.0, 420.0], "Match/blocks:8:allocs_per_op": [0.0, 0.0],
            "Match/blocks:8:cpu_share": [0.9375, 0.9375], "Burst:cpu_time_ns": [2e6]})

    def test_replay(self):
        samples = results.from_replay(REPLAY, "replay/conversation/runs")
        self.assertEqual(samples["replay/conversation/runs:block_ops_per_s"], [31e6])
        self.assertEqual(samples["replay/conversation/runs:store_ns_per_block"], [0.5])
        self.assertEqual(samples["replay/conversation/runs:cpu_share"], [0.98])
        self.assertNotIn("replay/conversation/runs:clear_p50_ns", samples)


class MustReachTest(unittest.TestCase):
    def verdict(self, what, samples):
        return {row[0]: row[3] for row in must_reach.rows(samples)}[what]

    def test_verdicts(self):
        rate = "conversation, second half: block ops, queries as far as verified"
        metric = "replay/conversation/runs:block_ops_per_s"
        self.assertEqual(self.verdict(rate, {}), "not measured")
        self.assertEqual(self.verdict(rate, {metric: [1e6, 31e6, 32e6]}), "pass")
        self.assertEqual(self.verdict(rate, {metric: [29e6]}), "FAIL")
        yardstick = "conversation, second half: against the flat yardstick"
        flat = "replay/conversation/flat:block_ops_per_s"
        self.assertEqual(self.verdict(yardstick, {metric: [31e6]}), "not measured")
        self.assertEqual(self.verdict(yardstick, {metric: [31e6], flat: [10e6]}), "pass")
        self.assertEqual(self.verdict(yardstick, {metric: [31e6], flat: [11e6]}), "FAIL")

    def test_the_harness_is_taken_off(self):
        samples = {"MatchMiss/prompts:1:p50_ns": [40.0], "MatchFloor:p50_ns": [16.0]}
        row = next(row for row in must_reach.rows(samples) if row[0].startswith("miss"))
        self.assertEqual(row[1:], (24.0, "<= 25 ns", "pass"))
        self.assertIn("less 16 ns of the harness", row[0])
        del samples["MatchFloor:p50_ns"]
        self.assertEqual(self.verdict("miss, warm, p50", samples), "not measured")

    def test_beside_what_a_second_core_adds_stands_what_the_machine_allows(self):
        samples = {"SecondCore:two_readers_speedup": [1.7], "SecondCore:two_indexes_speedup": [1.75]}
        row = next(row for row in must_reach.rows(samples) if row[0].startswith("two readers"))
        self.assertEqual(row[1:], (1.7, ">= 1.8 x", "FAIL"))
        self.assertIn("(97% of two indexes that share nothing: 1.75 x)", row[0])
        self.assertEqual(self.verdict("two readers against one", {"SecondCore:two_readers_speedup": [1.9]}), "pass")
        samples = {"SecondCore:two_readers_speedup": [1.2, 1.3, 1.9], "SecondCore:arithmetic_speedup": [1.2, 1.3, 2.0]}
        self.assertEqual(self.verdict("two readers against one", samples), "pass")  # twice there was no second core

    def test_what_a_neighbour_slowed_down_is_not_shown(self):
        samples = {"LargePrefix/tokens:8192:p50_ns": [6300.0, 3600, 6200, 3620, 6100],
                   "LargePrefix/tokens:8192:probe_ns": [1100.0, 650, 1080, 655, 1000]}
        self.assertEqual(self.verdict("8,192 tokens to matches, hashing included, p50", samples), "pass")
        samples["LargePrefix/tokens:8192:probe_ns"] = [650.0] * 5
        self.assertEqual(self.verdict("8,192 tokens to matches, hashing included, p50", samples), "FAIL")

    def test_over_grpc_repetitions_count_that_were_alone_and_the_spread_of_all_is_shown(self):
        name = "Unary/in_flight:8/awake:0"
        samples = {f"{name}:echo_share": [0.7, 0.91, 0.72, 1.02, 0.94], f"{name}:foreign_cores": [0.3, 0, 0.9, 0.01, 0.01],
                   f"{name}:probe_ns": [600, 900, 600, 900, 900], f"{name}:echo_p99_ratio": [1.4]}
        rows = {row[0]: row[1:] for row in must_reach.rows(samples)}
        rate = "Route over gRPC, unary, 8 in flight: rate, of the fastest echo's (0.7 to 1.02 in all 5 repetitions)"
        self.assertEqual(rows[rate], (0.94, ">= 0.8 x", "pass"))
        self.assertEqual(rows["Route over gRPC, unary, 8 in flight: p99, of that echo's"], (1.4, "<= 1.3 x", "FAIL"))

    def test_every_target_is_measured_by_a_benchmark_that_exists(self):
        source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        folder = os.path.join(source, "test", "benchmark")
        names = set()
        for file in os.listdir(folder):
            if file.endswith("_benchmark.cc"):
                with open(os.path.join(folder, file), encoding="utf-8") as text:
                    names |= set(re.findall(r"BENCHMARK(?:_CAPTURE)?\((\w+)[,)]", text.read()))
        for target in must_reach.TARGETS:
            family = re.split(r"[/:]", target.metric)[0]
            if family != "replay":
                self.assertIn(family, names, target.what)


class PageTest(unittest.TestCase):
    DOCUMENT = {
        "environment": {"cpu": "C", "cores": 2, "kernel": "6", "compiler": "g++", "flags": "-O3",
                        "commit": "0123456789abcdef", "modified": False, "date": "today"},
        "runs": [{"what": "match", "repetitions": 3, "seconds": 60, "load_average": 0.25}],
        "samples": {"Match/blocks:8:p50_ns": [1.0, 2.0, 3.0], "Match/blocks:8:holdings": [2e6]}}

    def test_replaces_only_what_is_between_the_markers(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "page.md")
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"before\n{page.BEGIN}\nold figures\n{page.END}\nafter\n")
            for _ in range(2):
                page.update(path, self.DOCUMENT)
                with open(path, encoding="utf-8") as file:
                    text = file.read()
                self.assertTrue(text.startswith("before\n") and text.endswith("\nafter\n"))
                self.assertNotIn("old figures", text)
                self.assertEqual(text.count("| Match/blocks:8 |  | 2 |  |  | holdings 2 M |"), 1)
                self.assertIn("match (3 repetitions, 60 s, load 0.25)", text)
            with open(path, "w", encoding="utf-8") as file:
                file.write("no markers")
            with self.assertRaises(results.UnusableInput):
                page.update(path, self.DOCUMENT)


if __name__ == "__main__":
    unittest.main()
