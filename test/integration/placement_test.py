"""kvroute placement: its hits at most are those of an LRU of a few lines here; the same input gives the same report.

Usage: placement_test.py KVROUTE. The trace is looked for in ../shared/traces beside the checkout; without it a
workload is made up, and what only it can show is left out and said.
"""

import collections
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest

KVROUTE = sys.argv.pop() if len(sys.argv) > 1 else "kvroute"
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TRACE = os.path.join(SOURCE, "..", "shared", "traces", "conversation_trace.jsonl")
BLOCK = 512


def lru_share(path, blocks):
    """Share of the prompts' tokens that one LRU of so many blocks holds."""
    held, hits, tokens = collections.OrderedDict(), 0, 0
    with open(path, encoding="utf-8") as file:
        for request in map(json.loads, file):
            ids = request["hash_ids"]
            found = next((i for i, block in enumerate(ids) if block not in held), len(ids))
            hits += min(found * BLOCK, request["input_length"])
            tokens += request["input_length"]
            for block in reversed(ids):
                held[block] = True
                held.move_to_end(block)
            while len(held) > blocks:
                held.popitem(last=False)
    return hits / tokens


def report(*arguments):
    run = subprocess.run([KVROUTE, "placement", *arguments, "--json", "-"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def ladder(path, tokens):
    found = report("--trace", path, "--only-ladder", "--workers", "1", "--block-size", str(BLOCK), "--blocks-per-worker", str(tokens // BLOCK))
    return found["hit_rate_infinite"], found["hit_rate_one_pool"]


class LadderTest(unittest.TestCase):
    def test_a_made_up_workload(self):
        draw = random.Random(1)
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            said = [[] for _ in range(50)]
            for i in range(2000):
                ids = draw.choice(said)
                ids.extend(range(1000000 + 10 * i, 1000000 + 10 * i + draw.randint(1, 5)))
                del ids[40:]
                file.write(json.dumps({"timestamp": i, "input_length": BLOCK * len(ids), "output_length": 1, "hash_ids": ids}) + "\n")
                if len(ids) == 40:
                    ids.clear()
            file.flush()
            for blocks in (200, 600, 10**7):
                infinite, one_pool = ladder(file.name, blocks * BLOCK)
                # The last block of a prompt that is held whole is computed again there.
                self.assertAlmostEqual(infinite, lru_share(file.name, 10**9), delta=0.02)
                self.assertAlmostEqual(one_pool, lru_share(file.name, blocks), delta=0.02)

    @unittest.skipUnless(os.path.exists(TRACE), f"{TRACE} is not there")
    def test_the_conversation_trace(self):
        most = lru_share(TRACE, 10**9)
        for tokens, share in ((3000000, 0.37), (50000000, 0.99)):
            infinite, one_pool = ladder(TRACE, tokens)
            self.assertAlmostEqual(infinite, most, delta=0.02)
            self.assertAlmostEqual(one_pool, lru_share(TRACE, tokens // BLOCK), delta=0.02)
            self.assertAlmostEqual(one_pool / infinite, share, delta=0.02)


class ReportTest(unittest.TestCase):
    ARGUMENTS = ("--generated", "agent", "--requests", "150", "--workers", "3", "--block-size", "128", "--blocks-per-worker", "2048",
                 "--policies", "kvroute,lpwl,random", "--load", "0.5,0.9", "--driving", "think", "--repetitions", "2")

    def test_the_same_input_gives_the_same_report(self):
        one = report(*self.ARGUMENTS)
        self.assertEqual(one, report(*self.ARGUMENTS))
        self.assertEqual([load["load"] for load in one["loads"]], [0.5, 0.9])
        for load in one["loads"]:
            self.assertEqual([row["policy"] for row in load["policies"]], ["kvroute", "lpwl", "random"])
            for row in load["policies"]:
                self.assertEqual(row["requests"], 135)  # behind the warm-up
                self.assertLess(row["hit_rate"], one["hit_rate_infinite"])
                self.assertGreater(row["ttft_ms"]["p99"], row["ttft_ms"]["p50"])

    def refused(self, *arguments):
        run = subprocess.run([KVROUTE, "placement", *arguments], capture_output=True, text=True, check=False)
        self.assertEqual((run.returncode, run.stdout), (2, ""), run.stderr)
        return run.stderr

    def test_what_cannot_be_run_is_refused(self):
        self.assertIn('policies: "gone" is not one of all, kvroute,', self.refused("--policies", "gone"))
        self.assertIn('load: "0" is no number above 0', self.refused("--load", "0"))
        self.assertIn("must divide 512", self.refused("--block-size", "48"))
        self.assertIn("a worker's pool has 1600", self.refused("--blocks-per-worker", "100"))
        self.assertIn("is none of qwen3-0.6b-a30", self.refused("--profile", "gone"))


if __name__ == "__main__":
    unittest.main()
