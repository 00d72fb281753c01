"""docs/api.md and the code have the same reasons of errors."""

import re
import unittest

import pages


def reasons(header):
    table = header.split("kErrorReasonNames")[1].split(";")[0]
    return re.findall(r'"([A-Z_]+)"', table)


def listed(page):
    return re.findall(r"^\| `([A-Z_]+)` \|", page.split("## Errors")[1].split("\n## ")[0], re.MULTILINE)


class ErrorReasonsTest(unittest.TestCase):
    def test_each_has_a_row_and_each_row_is_one(self):
        self.assertEqual(listed(pages.read("docs/api.md")), reasons(pages.read("indexer/base/error_reason.h")))

    def test_a_reason_without_a_row_would_be_found(self):
        header = 'kErrorReasonNames = NamesUpTo<ErrorReason::kB>(\n    "A", "B");\n enum'
        self.assertEqual(reasons(header), ["A", "B"])
        self.assertNotEqual(listed("## Errors\n| `A` | x |\n\n## Next\n| `B` | y |"), reasons(header))


if __name__ == "__main__":
    unittest.main()
