"""The nightly workflows cannot run here: at least their shape, their shell and everything they call are checked."""

import importlib.util
import os
import re
import subprocess
import unittest

import yaml

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORKFLOWS = os.path.join(SOURCE, ".github", "workflows")
TOP = {"name", "on", "permissions", "concurrency", "env", "defaults", "jobs", "run-name"}
JOB = {"name", "runs-on", "needs", "if", "permissions", "environment", "concurrency", "outputs", "env", "defaults",
       "steps", "timeout-minutes", "strategy", "continue-on-error", "container", "services"}
STEP = {"id", "if", "name", "uses", "run", "working-directory", "shell", "with", "env", "continue-on-error",
        "timeout-minutes"}
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
CONTEXTS = {"github", "env", "steps", "needs", "secrets", "inputs", "runner", "job", "matrix", "vars"}


def load(name):
    with open(os.path.join(WORKFLOWS, name), encoding="utf-8") as file:
        document = yaml.safe_load(file)
    document["on"] = document.pop(True, document.get("on"))  # YAML 1.1 reads the key "on" as true
    return document


class WorkflowTest(unittest.TestCase):
    def setUp(self):
        self.workflow = load("nightly-benchmark.yml")

    def steps(self):
        for job in self.workflow["jobs"].values():
            yield from job["steps"]

    def test_shape(self):
        self.assertLessEqual(set(self.workflow), TOP)
        for name, job in self.workflow["jobs"].items():
            self.assertLessEqual(set(job), JOB, name)
            self.assertIn("runs-on", job)
            for needed in [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", []):
                self.assertIn(needed, self.workflow["jobs"])
        for step in self.steps():
            self.assertLessEqual(set(step), STEP, step)
            self.assertEqual(("run" in step) + ("uses" in step), 1, step)

    def test_runs_every_night(self):
        cron = self.workflow["on"]["schedule"][0]["cron"]
        self.assertRegex(cron, r"^[0-5]?\d ([01]?\d|2[0-3]) \* \* \*$")

    def test_actions_are_pinned_to_a_version(self):
        for step in self.steps():
            if "uses" in step:
                self.assertRegex(step["uses"], r"^[\w-]+/[\w-]+@v\d+$")

    def test_expressions_name_what_exists(self):
        for job in self.workflow["jobs"].values():
            ids = {step["id"] for step in job["steps"] if "id" in step}
            text = yaml.safe_dump(job)
            conditions = [str(step["if"]) for step in job["steps"] if "if" in step]
            self.assertEqual(text.count("${{"), len(EXPRESSION.findall(text)))
            for expression in EXPRESSION.findall(text) + conditions:
                for root in re.findall(r"(?<![\w.'])([a-z]+)\.", expression):
                    self.assertIn(root, CONTEXTS, expression)
                for step in re.findall(r"steps\.(\w+)", expression):
                    self.assertIn(step, ids, expression)

    def test_shell_parses(self):
        for step in self.steps():
            if "run" in step:
                script = EXPRESSION.sub("expression", step["run"])
                result = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
                self.assertEqual(result.returncode, 0, step["run"] + result.stderr)

    def test_calls_only_what_the_project_has(self):
        text = "\n".join(step.get("run", "") for step in self.steps())
        scripts = set(re.findall(r"\./(scripts/[\w-]+)", text))
        self.assertEqual(scripts, {"scripts/bootstrap", "scripts/bench", "scripts/check-regression", "scripts/aarch64"})
        for script in scripts:
            self.assertTrue(os.access(os.path.join(SOURCE, script), os.X_OK), script)
        for module in re.findall(r"python3 -m ([\w.]+)", text):
            self.assertIsNotNone(importlib.util.find_spec(module), module)

    def test_compares_with_seven_days_at_ten_percent(self):
        text = "\n".join(step.get("run", "") for step in self.steps())
        self.assertIn("--days 7", text)
        self.assertIn("--threshold 0.1", text)
        self.assertIn("gh issue create", text)


class NightlyCheckTest(unittest.TestCase):
    def setUp(self):
        self.workflow = load("nightly-check.yml")

    def test_shape(self):
        self.assertLessEqual(set(self.workflow), TOP)
        for job in self.workflow["jobs"].values():
            self.assertLessEqual(set(job), JOB)
            for step in job["steps"]:
                self.assertLessEqual(set(step), STEP)

    def test_asks_for_what_the_check_has(self):
        runs = "\n".join(step.get("run", "") for job in self.workflow["jobs"].values() for step in job["steps"])
        self.assertEqual(re.findall(r"\./(scripts/.*)", runs), ["scripts/check --nightly"])
        check = os.path.join(SOURCE, "scripts", "check")
        usage = subprocess.run([check, "--help"], text=True, capture_output=True, check=True).stdout
        self.assertIn("--nightly", usage)
        self.assertEqual(subprocess.run([check, "--sometimes"], capture_output=True, check=False).returncode, 2)


if __name__ == "__main__":
    unittest.main()
