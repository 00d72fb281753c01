"""The tree of docs/architecture.md is the real one, with a purpose for every folder."""

import os
import re
import unittest

import pages
import rules

# Data: what is inside is described there.
LEAVES = ("test/vectors", "test/fuzz/corpus")


def drawn(block):
    """{folder: purpose} of a block of lines "  name/   purpose", indented by two for each level."""
    found, parents = {}, []
    for line in block.splitlines():
        match = re.fullmatch(r"((?:  )*)([\w.-]+)/(?: +(\S.*))?", line)
        if match is None:
            raise ValueError(f"not a line of a tree: {line!r}")
        depth = len(match[1]) // 2
        if depth > len(parents):
            raise ValueError(f"indented too far: {line!r}")
        parents = parents[:depth] + [match[2]]
        found["/".join(parents)] = match[3] or ""
    return found


def real(paths):
    """The folders that hold these files: all of the code's, of the rest the topmost."""
    found = set()
    for path in paths:
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            in_leaf = any(folder.startswith(leaf + "/") for leaf in LEAVES)
            if not folder.startswith(".") and not in_leaf and (depth == 1 or parts[0] in rules.ROOTS):
                found.add(folder)
    return found


class TreeTest(unittest.TestCase):
    def test_the_drawn_tree_is_the_real_one(self):
        blocks = pages.fenced(pages.read("docs/architecture.md"), "tree")
        self.assertEqual(len(blocks), 1)
        folders = drawn(blocks[0])
        self.assertEqual(sorted(folders), sorted(real(pages.files())))
        self.assertEqual([folder for folder, purpose in folders.items() if not purpose], [])

    def test_every_room_of_the_link_rule_is_in_the_tree(self):
        existing = real(pages.files())
        missing = [room for room in rules.BELOW if room not in existing and not os.path.isfile(os.path.join(pages.SOURCE, room))]
        self.assertEqual(missing, [])


class PlantedTest(unittest.TestCase):
    def test_a_drawn_tree_is_read(self):
        self.assertEqual(drawn("a/   one\n  b/  two\n    c/ three\n  d/\n"), {"a": "one", "a/b": "two", "a/b/c": "three", "a/d": ""})

    def test_what_is_no_tree_is_refused(self):
        for block in ("a/ one\n    b/ two\n", "a one\n", "a/ one\n b/ two\n"):
            with self.assertRaises(ValueError):
                drawn(block)

    def test_folders_are_those_of_files(self):
        paths = ["README.md", "indexer/a/b/c.cc", "docs/decisions/1.md", ".github/x/y.yml", "test/vectors/valid/z.msgpack"]
        self.assertEqual(real(paths), {"indexer", "indexer/a", "indexer/a/b", "docs", "test", "test/vectors"})


if __name__ == "__main__":
    unittest.main()
