"""What a package ships beside the binary agrees with it."""

import os
import re
import subprocess
import tempfile
import unittest

import pages

HELP = """kvroute: KV-cache-aware routing
Usage: kvroute [OPTIONS] SUBCOMMAND

Subcommands:
  serve                       Learn what every worker holds
  top                         watch a running kvroute

"""
COMPLETE = """
source deploy/completion/kvroute.bash
COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_kvroute
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


class ManualTest(unittest.TestCase):
    def test_it_has_every_command_and_no_other(self):
        commands = {name.lower() for name in re.findall(r"kvroute::Add(\w+)Command\(", pages.read("tools/main.cc"))}
        commands |= {"help", "version", *pages.asking_commands()}
        section = pages.read("docs/man/kvroute.1").split(".SH COMMANDS")[1].split(".SH ")[0]
        self.assertEqual(set(re.findall(r"^\.B (\w+)$", section, re.M)), commands)


class ProtoTest(unittest.TestCase):
    def test_older_protoc_read_what_clients_are_made_of(self):
        """Debian 12's grpc_tools are of protoc 3.5, which knows no `optional`."""
        for path in pages.files():
            if path.startswith("proto/kvroute/") and path.endswith(".proto"):
                self.assertNotRegex(pages.read(path), r"(?m)^\s*optional ", path)

    def test_every_file_has_its_names_in_other_languages(self):
        """protoc-gen-go refuses a file without go_package; Java and C# would make up names that change with the file's."""
        for path in pages.files():
            if path.startswith("proto/") and path.endswith(".proto"):
                for option in ('go_package = "[^"]+/', 'java_package = "', "java_multiple_files = true", 'csharp_namespace = "'):
                    self.assertRegex(pages.read(path), r"(?m)^option " + option, path)


class CompletionTest(unittest.TestCase):
    def complete(self, words):
        """What bash offers for the last of `words`; kvroute itself is played."""
        with tempfile.TemporaryDirectory() as folder:
            binary = os.path.join(folder, "kvroute")
            with open(binary, "w") as out:
                out.write('#!/bin/sh\nif [ "$1" = --help ]; then cat <<EOF\n' + HELP + "EOF\nelse\n"
                          "printf '  --config TEXT  YAML file\\n  --check-config  only check\\n'\nfi\n")
            os.chmod(binary, 0o755)
            environment = dict(os.environ, PATH=folder + os.pathsep + os.environ["PATH"])
            quoted = " ".join(f"'{word}'" for word in words)
            ended = subprocess.run(["bash", "-c", COMPLETE.format(words=quoted)], env=environment, capture_output=True, text=True, check=True)
        return ended.stdout.split()

    def test_commands_flags_and_policies_are_offered(self):
        self.assertEqual(self.complete(["kvroute", "se"]), ["serve"])
        self.assertEqual(self.complete(["kvroute", "serve", "--ch"]), ["--check-config"])
        self.assertEqual(self.complete(["kvroute", "serve", "--policy", "lm"]), ["lmetric"])
        self.assertIn("README.md", self.complete(["kvroute", "serve", "READ"]))


if __name__ == "__main__":
    unittest.main()
