"""What pages and comments name exists: files and links."""

import os
import re
import unittest

import pages
import rules

FOLDERS = rules.ROOTS + ("cmake", "deploy", "docs", "proto", "scripts")
ENDINGS = ("cc", "h", "py", "md", "proto", "cmake", "txt", "yaml", "yml", "json", "supp")
IN_A_FOLDER = re.compile(rf"(?:\./)?((?:{'|'.join(FOLDERS)})/[\w./-]*)")
BARE_NAME = re.compile(r"[\w-]+(?:\.[\w-]+)*\.(?:cc|h|py|md|proto|cmake)")
DATA = ("docs/", "test/fuzz/corpus/", "test/vectors/", "test/structure/")  # not comments
PAGE = re.compile(r"\bdocs/[\w/.-]*[\w-]")


def named_paths(text):
    """Paths from the root, and bare names of sources, that code spans and fenced commands name."""
    words = [word for span in pages.code_spans(text) for word in span.split()]
    words += [word for body in pages.fenced(text, "") for line in body.splitlines() for word in line.split()[:1]]
    for word in words:
        word = word.rstrip(",;:.")
        match = IN_A_FOLDER.fullmatch(word)
        if match:
            yield match[1].rstrip("/")
        elif word.split("/")[0] in pages.NOT_OURS:
            continue  # what a build or a run makes
        elif BARE_NAME.fullmatch(word) or ("/" in word and re.fullmatch(rf"[\w./-]+\.({'|'.join(ENDINGS)})", word)):
            yield word


def exists(path, files):
    """A path from the root, a folder, or the name alone of some file."""
    if path in files or any(name.startswith(path + "/") for name in files):
        return True
    return "/" not in path and any(os.path.basename(name) == path for name in files)


class PagesTest(unittest.TestCase):
    def test_every_path_that_a_page_names_exists(self):
        found = [(page, path) for page in pages.pages() for path in named_paths(pages.read(page)) if not exists(path, pages.files())]
        self.assertEqual(found, [])

    def test_every_link_between_pages_leads_somewhere(self):
        found = []
        for page in pages.pages():
            for link in pages.links(pages.read(page)):
                target = os.path.normpath(os.path.join(os.path.dirname(page), link))
                if "://" not in link and link and not exists(target, pages.files()):
                    found.append((page, link))
        self.assertEqual(found, [])

    def test_every_page_that_a_source_names_exists(self):
        found = []
        for path in pages.files():
            if path.startswith(FOLDERS) and not path.startswith(DATA):
                for page in PAGE.findall(pages.read(path)):
                    # docs/decisions/0009 is enough for a decision.
                    if not any(name == page or name.startswith((page + "-", page + "/")) for name in pages.files()):
                        found.append((path, page))
        self.assertEqual(found, [])


class PlantedTest(unittest.TestCase):
    FILES = ("indexer/a/b.cc", "scripts/demo", "docs/c.md")

    def missing(self, text):
        return [path for path in named_paths(text) if not exists(path, self.FILES)]

    def test_names_of_nothing_are_found(self):
        self.assertEqual(self.missing("see `indexer/a/gone.cc`, `a/b.cc`, `gone.h` and `indexer/gone`"),
                         ["indexer/a/gone.cc", "a/b.cc", "gone.h", "indexer/gone"])
        self.assertEqual(self.missing("```\n./scripts/gone --fast\n```\n"), ["scripts/gone"])

    def test_names_of_something_are_not(self):
        self.assertEqual(self.missing("`indexer/a/b.cc` `b.cc` `indexer/a/` `scripts/demo --trace FILE` `grpc.max_streams` `GET /a/b`"), [])

    def test_links_are_read_without_anchors(self):
        self.assertEqual(pages.links("[a](c.md#part) [b](http://x/y) `[no](z.md`"), ["c.md", "http://x/y"])


if __name__ == "__main__":
    unittest.main()
