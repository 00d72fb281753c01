"""scripts/demo --gateway, small: OpenAI's own client through Envoy, and the table. Skipped without a Python that has the package openai."""

import os
import subprocess
import sys
import unittest

import rig

arguments = None  # of the command line


class DemoTest(unittest.TestCase):
    def test_every_request_of_openais_client_is_picked_by_what_engines_hold(self):
        if subprocess.run([arguments.python, "-c", "import openai"], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("%s has no package openai" % arguments.python)
        demo = os.path.join(os.path.dirname(os.path.abspath(__file__)), "demo.py")
        done = subprocess.run([sys.executable, demo, "--binary", arguments.binary, "--envoy", arguments.envoy, "--python", arguments.python,
                               "--conversations", "8", "--turns", "2", "--engines", "2", "--speedup", "100"], stdout=subprocess.PIPE)
        text = done.stdout.decode()
        self.assertEqual(done.returncode, 0, text)
        for words in ("time to first token, p50", "exactly right for", "render: the engine's tokenizer", "all 16 requests were picked"):
            self.assertIn(words, text)


if __name__ == "__main__":
    parser = rig.arguments_of_all()
    parser.add_argument("--python", default=sys.executable)
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=sys.argv[:1] + rest)
