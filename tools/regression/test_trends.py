import json
import os
import tempfile
import unittest

from tools.regression import flamegraph, trends

METRIC = "replay/conversation/runs:block_ops_per_s"


class TrendsTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def night(self, date, value):
        document = {"environment": {"date": date}, "samples": {METRIC: [value, value + 1]}}
        with open(os.path.join(self.folder.name, f"{date}.json"), "w", encoding="utf-8") as file:
            json.dump(document, file)

    def test_the_baseline_rolls(self):
        for day in range(10):
            self.night(f"2026-01-{day + 10}", day * 10.0)
        out = os.path.join(self.folder.name, "baseline.out")
        self.assertEqual(trends.main(["--history", self.folder.name, "--days", "7", "--baseline", out]), 0)
        with open(out, encoding="utf-8") as file:
            samples = json.load(file)["samples"][METRIC]
        self.assertEqual(len(samples), 14)
        self.assertEqual(min(samples), 30.0)

    def test_no_history_is_said(self):
        out = os.path.join(self.folder.name, "baseline.out")
        self.assertEqual(trends.main(["--history", self.folder.name, "--baseline", out]), 2)

    def test_a_broken_night_is_left_out(self):
        self.night("2026-01-10", 1.0)
        with open(os.path.join(self.folder.name, "2026-01-11.json"), "w", encoding="utf-8") as file:
            file.write("{")
        self.assertEqual(len(trends.read_history(self.folder.name)), 1)

    def test_the_page_shows_each_target_that_was_measured(self):
        self.night("2026-01-10", 30e6)
        self.night("2026-01-11", 32e6)
        text = trends.render_page(trends.read_history(self.folder.name))
        self.assertEqual(text.count("<h2>"), 1)
        self.assertIn("last 32 M/s", text)


class FlamegraphTest(unittest.TestCase):
    PERF = """match 1 100.0: 1 cycles:
\t    55d0 kvroute::Match(int)+0x10 (/bin/match)
\t    55d1 main+0x20 (/bin/match)

match 1 100.1: 1 cycles:
\t    55d2 operator<< <char>+0x1 (/bin/match)
\t    55d1 main+0x20 (/bin/match)
"""

    def test_counts_samples_by_path(self):
        root = flamegraph.build(flamegraph.read_stacks(self.PERF.splitlines()))
        self.assertEqual(root.samples, 2)
        self.assertEqual(root.children["main"].samples, 2)
        self.assertEqual(root.children["main"].children["kvroute::Match(int)"].samples, 1)
        svg = flamegraph.render(root)
        self.assertIn("operator&lt;&lt; &lt;char&gt;: 1 of 2 samples, 50.0%", svg)
        self.assertEqual(svg.count("<rect"), 4)

    def test_reads_weighted_stacks(self):
        lines = ["main;Grow;operator new 300", "main;Fill 100", "no count", "main;Idle 0", ""]
        root = flamegraph.build(flamegraph.read_folded(lines))
        self.assertEqual(root.children["main"].samples, 400)
        self.assertEqual(root.children["main"].children["Grow"].samples, 300)
        self.assertNotIn("Idle", root.children["main"].children)


if __name__ == "__main__":
    unittest.main()
