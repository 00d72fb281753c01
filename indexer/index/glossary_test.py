#!/usr/bin/env python3
"""Every word of the glossary in docs/index.md is used in the code of the index, and the words that it replaced are not."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
INDEX = ROOT / "indexer" / "index"

# What was said before, as a pattern, and what is said now.
REPLACED = {
    r"\bNames?\b|[a-z]Names?\b|\bName[A-Z]|_names?_?\b": "engine hash",
    r"\bnames?\b|\bnamed\b": "engine hash; as a verb: stands for",
    r"\bSpots?\b|\bspots?\b": "fetched buckets",
    r"[Cc]utoff": "first hole",
    r"(?<!_)[Ww]indow": "length of a run; TokensOfBlock",
    r"PlaceSlot": "cell",
    r"[Ff]ree stretch": "extent",
    r"kPinned": "fixed run",
}
# Other things that have a name.
ALLOWED = re.compile(r"namespace|enum_names|kCopyModeNames|NamedThread|named_thread|LoRA name|lora_name|under the name|Glossary", re.IGNORECASE)


def words_of_glossary(page):
    table = page.split("## Glossary", 1)[1].split("\n## ", 1)[0]
    for row in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE):
        if row not in ("word", "---"):
            yield from (word.strip() for word in row.split(","))


def used(word, text):
    """A word of several parts may be joined, as in FirstHole, first_hole and `kFixed`, the word `run` left out."""
    parts = [part for part in re.split(r"[ ']s? ?", word) if part and part != "run"] or ["run"]
    return re.search(r"[ _']{0,3}s?".join(part.rstrip("s") for part in parts), text, re.IGNORECASE) is not None


def main():
    sources = {path: path.read_text() for path in sorted(INDEX.rglob("*")) if path.suffix in (".h", ".cc")}
    words = list(words_of_glossary((ROOT / "docs" / "index.md").read_text()))
    text = "\n".join(sources.values())
    faults = [f"docs/index.md: '{word}' is in the glossary and nowhere in the code" for word in words if not used(word, text)]
    if len(words) < 20 or len(sources) < 40:
        faults.append(f"found only {len(words)} words and {len(sources)} sources")
    for path, content in sources.items():
        for number, line in enumerate(content.splitlines(), 1):
            for pattern, instead in REPLACED.items():
                if re.search(pattern, ALLOWED.sub("", line)):
                    faults.append(f"{path.relative_to(ROOT)}:{number}: say '{instead}': {line.strip()}")
    print("\n".join(faults) if faults else f"{len(words)} words, {len(sources)} sources")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
