"""scripts/NAME --help prints what the script does, for every script, and starts nothing."""

import os
import stat
import subprocess
import tempfile
import unittest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# What scripts start: a command of this name that is called says so in a file, and fails.
STARTED = ("apt", "apt-get", "clang-format", "clang-tidy", "cmake", "ctest", "curl", "debootstrap", "docker", "dpkg-deb", "dpkg-query", "git",
           "helm", "mktemp", "ninja", "perf", "pip", "pip3", "qemu-aarch64-static", "sudo", "valgrind", "wget")


class ScriptsTest(unittest.TestCase):
    def test_help_is_printed_and_nothing_is_started(self):
        with tempfile.TemporaryDirectory() as folder:
            log = os.path.join(folder, "started")
            for name in STARTED:
                path = os.path.join(folder, name)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(f'#!/bin/sh\necho "{name} $*" >> {log}\nexit 1\n')
                os.chmod(path, stat.S_IRWXU)
            environment = dict(os.environ, PATH=f"{folder}:/usr/bin:/bin")
            for script in sorted(os.listdir(os.path.join(SOURCE, "scripts"))):
                with self.subTest(script=script):
                    run = subprocess.run([os.path.join(SOURCE, "scripts", script), "--help"], env=environment, cwd="/", timeout=60,
                                         stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
                    self.assertEqual(run.returncode, 0, run.stderr)
                    self.assertGreater(len(run.stdout), 80, run.stdout)
                    self.assertEqual(run.stderr, "")
                    self.assertNotIn("set -euo", run.stdout)
                    started = ""
                    if os.path.exists(log):
                        with open(log, encoding="utf-8") as file:
                            started = file.read()
                    self.assertEqual(started, "")


if __name__ == "__main__":
    unittest.main()
