"""The clients of other languages: their versions are kvroute's, and what is generated of them is not committed but for Go."""

import json
import re
import subprocess
import unittest

import pages


def version():
    return re.search(r"^project\(kvroute VERSION ([\d.]+)", pages.read("CMakeLists.txt"), re.MULTILINE)[1]


class ClientsTest(unittest.TestCase):
    def test_their_versions_are_kvroutes(self):
        lock = json.loads(pages.read("clients/typescript/package-lock.json"))
        found = {
            "python": re.search(r'^version = "(.*)"', pages.read("clients/python/pyproject.toml"), re.MULTILINE)[1],
            "python's __version__": re.search(r'^__version__ = "(.*)"', pages.read("clients/python/kvroute/__init__.py"), re.MULTILINE)[1],
            "go": re.search(r'^const Version = "(.*)"', pages.read("clients/go/kvroute.go"), re.MULTILINE)[1],
            "typescript": json.loads(pages.read("clients/typescript/package.json"))["version"],
            "typescript's version": re.search(r'^export const version = "(.*)"', pages.read("clients/typescript/src/index.ts"), re.MULTILINE)[1],
            "typescript's lock": lock["version"],
            "typescript's lock of itself": lock["packages"][""]["version"],
        }
        self.assertEqual(found, {name: version() for name in found})

    def test_only_gos_generated_code_is_committed(self):
        listed = subprocess.run(["git", "ls-files", "clients"], cwd=pages.SOURCE, stdout=subprocess.PIPE, text=True)
        if listed.returncode != 0:
            self.skipTest("no git: nobody knows what is committed")
        generated = [path for path in listed.stdout.splitlines() if re.search(r"_pb2|\.pb\.go|/generated/|/dist/", path)]
        self.assertEqual([path for path in generated if not path.startswith("clients/go/")], [])
        self.assertIn("clients/go/kvroutev1/router.pb.go", generated)

    def test_each_has_a_readme_and_an_example(self):
        files = set(pages.files())
        for path in ("python/README.md", "go/README.md", "typescript/README.md", "python/examples/chat.py", "go/examples/chat/main.go",
                     "typescript/src/examples/chat.ts"):
            self.assertIn("clients/" + path, files)


if __name__ == "__main__":
    unittest.main()
