#!/usr/bin/env python3
"""Every command block of README.md and docs/ is a shell's, and every kvroute command in it is one that this build understands: it is
parsed by the binary itself, and not done.
    documented_commands.py KVROUTE
"""
import os
import re
import shlex
import subprocess
import sys
import unittest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE, "test/structure"))
import pages  # noqa: E402

KVROUTE = ""
COMMAND = re.compile(r"^(?:\S*/)?kvroute( |$)")
# A line of a block that is a command, and not what one printed: its first word is a program of ours or of the shell.
SHELL = re.compile(r"^(?:cd|cmake|curl|export|for|git|helm|kill|kubectl|mkdir|python3|scripts/|\./scripts/|sed|vllm|wait|\w+=)")


def blocks():
    """(page, lines) of every block that begins with a command."""
    for page in pages.pages():
        if page.startswith("docs/decisions/"):
            continue  # a decision speaks of its day
        text = pages.read(page)
        for body in pages.fenced(text, "") + pages.fenced(text, "sh"):
            lines = body.replace("\\\n", " ").splitlines()
            first = next((line for line in lines if line and not line.startswith("#")), "")
            if COMMAND.match(first) or SHELL.match(first):
                yield page, lines


def words_of(line):
    """The words of one simple command: up to a pipe, a redirection, an ampersand or a comment."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words = []
    for word in lexer:
        if set(word) <= set("|&;<>"):
            break
        words.append(word)
    return words


class DocumentedCommands(unittest.TestCase):
    def test_blocks_are_a_shells(self):
        for page, lines in blocks():
            with self.subTest(page=page, block=lines[0]):
                run = subprocess.run(["bash", "-n"], input="\n".join(lines), capture_output=True, text=True, check=False)
                self.assertEqual(run.stderr, "")

    def test_commands_are_understood(self):
        found = 0
        for page, lines in blocks():
            for line in lines:
                if not COMMAND.match(line.strip()):
                    continue
                found += 1
                with self.subTest(page=page, line=line):
                    run = subprocess.run([KVROUTE, "--only-parse", *words_of(line.strip())[1:]], capture_output=True, text=True, timeout=60,
                                         stdin=subprocess.DEVNULL, check=False)
                    self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertGreater(found, 30)

    def test_every_help_is_text(self):
        """No byte in any help is anything but text, and every command has one."""
        listed = subprocess.run([KVROUTE, "help"], capture_output=True, check=True).stdout.decode()
        names = re.findall(r"^  (\w+) ", listed.split("Subcommands:")[1], re.MULTILINE)
        self.assertGreater(len(names), 15)
        for words in [["help"], ["help", "config", "init"], *(["help", name] for name in names), *([name, "--help"] for name in names)]:
            with self.subTest(words=words):
                run = subprocess.run([KVROUTE, *words], capture_output=True, timeout=60, check=False)
                self.assertEqual((run.returncode, run.stderr), (0, b""))
                self.assertNotRegex(run.stdout.decode(), r"[^\x20-\x7e\n]")
                self.assertGreater(len(run.stdout), 60)


if __name__ == "__main__":
    KVROUTE = sys.argv.pop(1)
    unittest.main()
