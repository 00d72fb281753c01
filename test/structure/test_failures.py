"""Each row of what may be tried on kvroute, and of what is guarded, names its test."""

import os
import re
import unittest

import pages

PAGE = "docs/failures.md"
TEST = re.compile(r"`((?:[\w/]+/)?\w+_test\.cc)`")


def rows(text):
    """(section, cells) of each row of the page's tables, their heads left out."""
    section, head = "", False
    for line in text.splitlines():
        if line.startswith("## "):
            section = line[3:]
        is_row = line.startswith("|")
        if is_row and head and not re.fullmatch(r"[|\- ]+", line):
            yield section, [cell.strip() for cell in line.strip("|").split("|")]
        head = is_row


def without_a_test(text, files):
    """Rows of tables whose last column is the test, where it names none that exists; sections whose introduction names one are left out."""
    found, introduced = [], set()
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, rest = section.partition("\n")
        if TEST.search(rest.split("\n|", 1)[0]) or "test/chaos" in rest:
            introduced.add(title)
    for section, cells in rows(text):
        if section in ("",) or section in introduced:
            continue
        tests = TEST.findall(cells[-1])
        if not tests:
            found.append(f"{cells[0]}: names no test")
        found += [f"{cells[0]}: {test} is no test of ours" for test in tests
                  if not any(path == test or path.endswith("/" + test) for path in files)]
    return found


class FailuresTest(unittest.TestCase):
    def test_every_row_names_its_test(self):
        text = pages.read(PAGE)
        self.assertEqual(without_a_test(text, pages.files()), [])
        self.assertGreater(len([1 for section, _ in rows(text) if section.startswith("What a bad peer")]), 20)

    def test_so_does_every_row_of_the_threat_model(self):
        text = pages.read("SECURITY.md")
        section = re.search(r"^## What is guarded.*?(?=^## )", text, re.MULTILINE | re.DOTALL)[0]
        self.assertEqual(without_a_test(section, pages.files()), [])
        self.assertGreater(len(list(rows(section))), 10)

    def test_a_row_without_one_is_found(self):
        page = "## A\n\n| x | test |\n|---|---|\n| breaks | {} |\n"
        files = ("a/b_test.cc",)
        self.assertEqual(without_a_test(page.format("`b_test.cc`"), files), [])
        self.assertEqual(without_a_test(page.format("`a/b_test.cc`"), files), [])
        self.assertEqual(without_a_test(page.format(""), files), ["breaks: names no test"])
        self.assertEqual(without_a_test(page.format("`c_test.cc`"), files), ["breaks: c_test.cc is no test of ours"])


if __name__ == "__main__":
    unittest.main()
