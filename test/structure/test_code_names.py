"""What pages say of the code by name is there: command-line flags, and identifiers in `code`."""

import re
import unittest

import pages
import rules

FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
# Who is asked on a command line of a page, and the folders or files that declare its flags.
COMMAND = re.compile(r"(?:\bkvroute (\w+)\b|\bscripts/([\w-]+))")
# Type::Function, kConstant, or a word with two capitals and small letters between: no name of anything but code.
IDENTIFIER = re.compile(r"(?:\w+::)+~?\w+|k[A-Z]\w+|(?:[A-Z][a-z0-9]+){2,}")
# What parts one command of a line from the next.
BETWEEN = re.compile(r"  #.*| -- | && | [|;&] ")


def sources():
    """Every file that may declare something, its text by path."""
    folders = rules.ROOTS + ("proto/", "deploy/", "scripts/", ".github/")
    data = ("test/vectors", "test/fuzz/corpus", "test/structure")
    return {path: pages.read(path) for path in pages.files() if path.startswith(folders) and not path.startswith(data)
            and not path.endswith(".md")}


def commands(text):
    """(who is asked or None, flags) of each code span and of each line of a fenced block, continued lines as one."""
    lines = pages.code_spans(text)
    for body in pages.fenced(text, ""):
        lines += body.replace("\\\n", " ").splitlines()
    for line in (part for whole in lines for part in BETWEEN.split(whole)):
        flags = FLAG.findall(line)
        if flags:
            asked = COMMAND.search(line)
            yield (asked[1] or asked[2]) if asked else None, line.startswith("--"), flags


def unknown_flags(text, declared):
    """Flags of our own commands, and those named alone, that nobody declares. declared: {command: its flags}."""
    found = []
    for asked, alone, flags in commands(text):
        if asked in declared:
            found += [f"{asked} {flag}" for flag in flags if flag not in declared[asked]]
        elif alone:
            found += [flag for flag in flags if not any(flag in known for known in declared.values())]
    return found


def declared_flags():
    declared = {}
    shared = set(FLAG.findall(pages.read("tools/client/server_flags.cc")))
    for path, text in sources().items():
        if path.startswith(("scripts/", "tools/")):
            name = path.split("/")[1]
            declared.setdefault(name, set()).update(FLAG.findall(text))
            if '#include "tools/client/server_flags.h"' in text:
                declared[name] |= shared
    for name in pages.asking_commands():
        declared[name] = declared["ask"]
    for path in pages.files():
        if path.startswith("scripts/"):
            declared[path.split("/")[1]] |= declared["regression"]  # what some of them call
    return declared


def unknown_identifiers(text, known):
    names = {part for span in pages.code_spans(text) for name in IDENTIFIER.findall(span) for part in name.split("::")}
    return sorted(names - known)


class PagesTest(unittest.TestCase):
    def test_every_flag_that_a_page_names_is_declared(self):
        declared = declared_flags()
        found = [(page, flag) for page in pages.pages() for flag in unknown_flags(pages.read(page), declared)]
        self.assertEqual(found, [])

    def test_every_identifier_that_a_page_names_is_in_the_sources(self):
        known = set(re.findall(r"\w+", "\n".join(sources().values())))
        found = []
        for page in pages.pages():
            if not page.startswith("docs/decisions/"):  # a decision speaks of its day
                found += [(page, name) for name in unknown_identifiers(pages.read(page), known)]
        self.assertEqual(found, [])


class PlantedTest(unittest.TestCase):
    DECLARED = {"serve": {"--config", "--set"}, "demo": {"--trace"}}

    def test_flags_of_nobody_are_found(self):
        text = "`kvroute serve --gone 1` and `--lost`\n```\nscripts/demo --trace x \\\n  --away\n```\n"
        self.assertEqual(unknown_flags(text, self.DECLARED), ["serve --gone", "--lost", "demo --away"])

    def test_flags_that_are_declared_or_not_ours_are_not(self):
        text = "`kvroute serve --config FILE` `--set PATH=VALUE` `cmake --preset dev`\n```\ncurl --silent x\n```\n"
        self.assertEqual(unknown_flags(text, self.DECLARED), [])

    def test_identifiers_of_nothing_are_found(self):
        self.assertEqual(unknown_identifiers("`Lane::Run` and `GoneType`, kGone, `kGone`", {"Lane", "kThere"}), ["GoneType", "Run", "kGone"])
        self.assertEqual(unknown_identifiers("`PUB [topic, seq]` `vLLM` `grpc.max_streams`", set()), [])


if __name__ == "__main__":
    unittest.main()
