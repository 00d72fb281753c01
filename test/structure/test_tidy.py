"""scripts/tidy finds what to check, and says so where that is nothing."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class TidyTest(unittest.TestCase):
    def test_a_change_without_sources_is_clean(self):
        with tempfile.TemporaryDirectory() as folder:
            checkout = pathlib.Path(folder)
            (checkout / "scripts").mkdir()
            shutil.copy(ROOT / "scripts" / "tidy", checkout / "scripts" / "tidy")

            def git(*words):
                identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
                subprocess.run(["git", *identity, *words], cwd=checkout, check=True, capture_output=True)

            git("init")
            git("add", "-A")
            git("commit", "-m", "first")
            (checkout / "README.md").write_text("text\n", encoding="utf-8")
            git("add", "-A")
            git("commit", "-m", "no source")
            ended = subprocess.run(["scripts/tidy", "--changed", "HEAD^"], cwd=checkout, capture_output=True, text=True)
            self.assertEqual(ended.returncode, 0, ended.stderr[-300:])
            self.assertIn("no files", ended.stdout)


if __name__ == "__main__":
    unittest.main()
