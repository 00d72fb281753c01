import argparse
import glob
import json
import os
import subprocess
import tempfile
import textwrap
import unittest

from tools.regression import bench, check, compare, prove, runner
from tools.regression.results import load

# Three benchmarks; each run of Slow takes the next of "shares" as the share of the core it had and of "times" as its time.
FAKE = """\
    #!/usr/bin/env python3
    import json, os, re, sys
    flags = dict(argument.split("=", 1) for argument in sys.argv[1:])
    folder = os.path.dirname(os.path.abspath(sys.argv[0]))
    names = ["Fast/a:1", "Slow/a:1/iterations:1", "Big/full/a:1"]
    if "--benchmark_list_tests" in flags:
        print("\\n".join(names))
        sys.exit()
    chosen = [name for name in names if re.search(flags["--benchmark_filter"], name)]
    with open(os.path.join(folder, "log"), "a") as log:
        log.write(" ".join(chosen) + "\\n")
    with open(os.path.join(folder, "shares")) as file:
        shares = file.read().split()
    rows = []
    for name in chosen:
        row = {"run_name": name, "run_type": "iteration", "real_time": 10, "cpu_time": 10, "p50_ns": 5.0}
        if name.startswith("Slow"):
            row["cpu_share"] = float(shares[0])
            with open(os.path.join(folder, "shares"), "w") as file:
                file.write(" ".join(shares[1:] or shares))
            with open(os.path.join(folder, "times")) as file:
                times = file.read().split()
            row["p50_ns"] = row["mean_ns"] = float(times[0])
            with open(os.path.join(folder, "times"), "w") as file:
                file.write(" ".join(times[1:] + times[:1]))
        rows.append(row)
    with open(flags["--benchmark_out"], "w") as out:
        json.dump({"benchmarks": rows}, out)
"""


class RunnerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.build = folder.name
        self.folder = os.path.join(self.build, "test", "benchmark")
        os.makedirs(self.folder)
        path = os.path.join(self.folder, "fake_benchmark")
        with open(path, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(FAKE))
        os.chmod(path, 0o755)
        self.set_shares("1")
        self.set_times("5")

    def set_shares(self, shares):
        with open(os.path.join(self.folder, "shares"), "w", encoding="utf-8") as file:
            file.write(shares)

    def set_times(self, times):
        with open(os.path.join(self.folder, "times"), "w", encoding="utf-8") as file:
            file.write(times)

    def runs(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8") as file:
            return file.read().splitlines()

    def bench(self, *arguments):
        out = os.path.join(self.build, "out.json")
        status = bench.main(["--build", self.build, "--out", out, "--filter=-replay", *arguments])
        return status, load(out) if status == 0 else None

    def test_each_repetition_is_a_process_and_what_is_full_has_fewer(self):
        status, document = self.bench("--repetitions", "4", "--full-repetitions", "2")
        self.assertEqual(status, 0)
        self.assertEqual(len(self.runs()), 4)
        self.assertEqual(len(document["samples"]["Fast/a:1:p50_ns"]), 4)
        self.assertEqual(len(document["samples"]["Big/full/a:1:p50_ns"]), 2)
        self.assertIn("commit", document["environment"])
        self.assertEqual(document["runs"][0]["repetitions"], 4)

    def test_measures_on_until_three_repetitions_had_their_core(self):
        self.set_shares("1.0 0.7 0.99 0.5 1.0")
        _, document = self.bench("--repetitions", "3")
        self.assertEqual(document["samples"]["Slow/a:1:cpu_share"], [1.0, 0.7, 0.99, 0.5, 1.0])
        self.assertEqual(self.runs()[3:], ["Slow/a:1/iterations:1"] * 2)

    def test_measures_on_until_three_repetitions_agree(self):
        self.set_shares("1")
        self.set_times("5 5.5 6 4.95 5.01 5.2")
        _, document = self.bench("--repetitions", "3")
        self.assertEqual(document["samples"]["Slow/a:1:p50_ns"], [5, 5.5, 6, 4.95, 5.01])
        self.set_times("3 4 5")
        _, document = self.bench("--repetitions", "3", "--attempts", "2")
        self.assertEqual(len(document["samples"]["Slow/a:1:p50_ns"]), 6)  # it gives up

    def test_append_adds_and_replaces(self):
        self.bench("--repetitions", "1", "--quick", "--attempts", "1")
        status, document = self.bench("--repetitions", "3", "--filter", "^Fast", "--append")
        self.assertEqual(status, 0)
        self.assertEqual(len(document["samples"]["Fast/a:1:p50_ns"]), 3)
        self.assertEqual(len(document["samples"]["Slow/a:1:p50_ns"]), 1)
        self.assertEqual(len(document["runs"]), 2)
        _, document = self.bench("--repetitions", "3", "--filter", "^Fast", "--append")
        self.assertEqual(len(document["runs"]), 2)

    def test_confirm_measures_what_failed_again(self):
        def written(name, samples):
            path = os.path.join(self.build, name)
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"samples": samples}, file)
            return path
        current = written("current", {"Fast/a:1:p50_ns": [5.6] * 5, "Slow/a:1:p50_ns": [5.0] * 5})
        report = os.path.join(self.build, "report")
        for value, status in ((5.0, 0), (4.0, 1)):  # the benchmark says 5
            baseline = written("baseline", {"Fast/a:1:p50_ns": [value] * 5, "Slow/a:1:p50_ns": [5.0] * 5})
            self.assertEqual(check.main(["--baseline", baseline, "--current", current]), 1)
            self.assertEqual(check.main(["--baseline", baseline, "--current", current, "--confirm", "--build", self.build,
                                         "--json", report]), status)
            with open(report, encoding="utf-8") as file:
                self.assertEqual(json.load(file)["failed"], status == 1)
        self.assertEqual(set(self.runs()), {"Fast/a:1"})

    def test_confirm_measures_both_builds_in_turns(self):
        report = os.path.join(self.build, "report")
        paths = []
        for name, value in (("baseline", 4.0), ("current", 5.6)):
            paths.append(os.path.join(self.build, name))
            with open(paths[-1], "w", encoding="utf-8") as file:
                json.dump({"samples": {"Fast/a:1:p50_ns": [value] * 5}}, file)
        arguments = ["--baseline", paths[0], "--current", paths[1], "--build", self.build, "--baseline-build", self.build]
        self.assertEqual(check.main([*arguments, "--confirm", "--json", report]), 0)  # the old build is as slow now
        self.assertEqual(self.runs(), ["Fast/a:1"] * 3 * 2 * check.TURNS)
        self.assertEqual(check.main(arguments), 2)

    def test_unusable_input_is_2(self):
        self.assertEqual(self.bench("--filter", "nothing has this name")[0], 2)
        self.assertEqual(self.bench("--repetitions", "0")[0], 2)
        self.assertEqual(bench.main(["--build", self.build, "--part", "unknown"]), 2)
        self.assertEqual(bench.main(["--build", "/nonexistent"]), 2)
        self.assertEqual(bench.main(["--list-parts"]), 0)


class PartsTest(unittest.TestCase):
    def test_the_parts_together_are_everything_once(self):
        build = os.environ.get("KVROUTE_BUILD", "")
        binaries = glob.glob(os.path.join(build, "test", "benchmark", "*_benchmark"))
        if not build or not binaries:
            self.skipTest("no benchmarks in this build")
        times = {}
        for part in runner.PARTS:
            options = argparse.Namespace(part=part, filter="", quick=False, build=build)
            chooser = runner.Runner(options, bench.SOURCE, "")
            for binary in binaries:
                for name in chooser.select(binary):
                    times.setdefault(name, []).append(part)
        for binary in binaries:
            listed = subprocess.run([binary, "--benchmark_list_tests=true"], check=True, capture_output=True, text=True)
            for name in listed.stdout.split():
                self.assertEqual(len(times.get(name, [])), 1, f"{name}: {times.get(name)}")
        self.assertTrue(all(part.seconds < 140 for part in runner.PARTS.values()))


class ProveTest(unittest.TestCase):
    DOCUMENT = {"samples": {"A:p50_ns": [100.0, 101, 102, 103, 104], "A:events_per_s": [1e6] * 5,
                            "A:rss_bytes": [1e8] * 5, "A:max_ns": [1e6] * 5}}

    def test_plants_in_the_direction_that_is_worse(self):
        worse = prove.plant(self.DOCUMENT, ["A:p50_ns", "A:events_per_s"])["samples"]
        self.assertAlmostEqual(worse["A:p50_ns"][0], 112)
        self.assertAlmostEqual(worse["A:events_per_s"][0], 0.88e6)
        self.assertEqual(worse["A:rss_bytes"], self.DOCUMENT["samples"]["A:rss_bytes"])

    def test_each_kind_is_planted_and_caught(self):
        for result in prove.prove_planted([self.DOCUMENT] * 3):
            self.assertEqual((result.planted, result.judged, result.caught, result.false_alarms), (2, 2, 2, []), result.kind)
            self.assertTrue(result.proven)

    def test_a_gate_that_judges_nothing_is_not_proven(self):
        noisy = {"samples": {"A:p50_ns": [100.0, 10, 500, 30, 90]}}
        result = next(iter(prove.prove_planted([noisy, noisy])))
        self.assertEqual((result.planted, result.judged, list(result.not_judged)), (1, 0, [compare.DISAGREE]))
        self.assertFalse(result.proven)

    def test_one_miss_and_it_is_not_proven(self):
        better = {"samples": {**self.DOCUMENT["samples"], "A:p50_ns": [90.0, 91, 92, 93, 94]}}
        result = next(iter(prove.prove_planted([self.DOCUMENT, better])))
        self.assertEqual((result.judged, result.missed), (1, ["A:p50_ns"]))
        self.assertFalse(result.proven)

    def test_what_is_said_to_be_too_small_is_not_held_against_it(self):
        document = {"samples": {"A:rss_bytes": [1e8] * 5, "B:rss_bytes": [1e6] * 5}}
        result = list(prove.prove_planted([document] * 2))[-1]
        self.assertEqual((result.planted, result.caught, list(result.not_judged)), (2, 1, [compare.TOO_SMALL]))
        self.assertTrue(result.proven)

    def test_what_fails_once_and_not_again_passes(self):
        slow = prove.plant(self.DOCUMENT, ["A:p50_ns"])
        (failures, again), = prove.prove_same_code([self.DOCUMENT, slow], lambda failures: self.DOCUMENT)
        self.assertEqual(([row.metric for row in failures], again), (["A:p50_ns"], []))
        (_, again), = prove.prove_same_code([self.DOCUMENT, slow], lambda failures: slow)
        self.assertEqual([row.metric for row in again], ["A:p50_ns"])

    def test_no_measurements_are_unusable(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(prove.main(["--results", folder, "--build", "/nonexistent"]), 2)


if __name__ == "__main__":
    unittest.main()
