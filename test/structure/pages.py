"""Reads the pages: README.md, docs/ and the README.md of any folder."""

import functools
import os
import re

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_OURS = {"build", "out", "__pycache__", "node_modules", "dist"}


def asking_commands():
    """The commands that tools/ask declares: kvroute list, route and others."""
    return re.findall(r'\b(?:add\(|Add\(line,)\s*"(\w+)"', read("tools/ask/ask_command.cc"))


@functools.lru_cache(maxsize=None)
def files():
    """Every file of the checkout by its path; not what a build, a run or git put there."""
    found = []
    for folder, folders, names in os.walk(SOURCE):
        folders[:] = sorted(name for name in folders if name not in NOT_OURS and name != ".git")
        found.extend(os.path.relpath(os.path.join(folder, name), SOURCE) for name in sorted(names))
    return tuple(found)


@functools.lru_cache(maxsize=None)
def read(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
        return file.read()


def pages():
    return [path for path in files() if path.endswith(".md")]


def fenced(text, language):
    """The fenced blocks of one language."""
    return [body for name, body in FENCE.findall(text) if name == language]


def code_spans(text):
    """What stands between backticks, outside fenced blocks."""
    return re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


def links(text):
    """The targets of links, without their #anchors."""
    return [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text))]
