"""A flame graph as SVG on standard output, of `perf script` on standard input or, with --folded, of lines `a;b;c COUNT`
(what `heaptrack_print -F` writes: the counts are bytes or calls)."""

import html
import re
import sys

_FRAME = re.compile(r"^\s+[0-9a-f]+ (.+?)(?:\+0x[0-9a-f]+)? \(")
_WIDTH, _ROW = 1200, 17
_PALETTE = ("#e4572e", "#f08a4b", "#f3a712", "#d98032", "#c8553d")


def read_stacks(lines):
    """Yields each sample's functions, outermost first, and 1."""
    frames = []
    for line in lines:
        match = _FRAME.match(line)
        if match:
            frames.append(match.group(1))
        elif not line.strip() and frames:
            yield frames[::-1], 1
            frames = []
    if frames:
        yield frames[::-1], 1


def read_folded(lines):
    """Yields each stack's functions, outermost first, and its count."""
    for line in lines:
        stack, _, count = line.strip().rpartition(" ")
        if stack and count.isdigit() and int(count) > 0:
            yield [frame for frame in stack.split(";") if frame], int(count)


class Node:
    def __init__(self):
        self.samples = 0
        self.children = {}


def build(weighted_stacks):
    root = Node()
    for stack, weight in weighted_stacks:
        node = root
        node.samples += weight
        for name in stack:
            node = node.children.setdefault(name, Node())
            node.samples += weight
    return root


def _height(node):
    return 1 + max((_height(child) for child in node.children.values()), default=0)


def render(root):
    total = max(root.samples, 1)
    height = _height(root) * _ROW
    boxes = []

    def draw(name, node, left, depth):
        width = node.samples / total * _WIDTH
        if width < 0.5:
            return
        top = height - (depth + 1) * _ROW
        label = html.escape(name)
        shown = html.escape(name[:int(width / 7)]) if width > 20 else ""
        colour = _PALETTE[sum(name.encode()) % len(_PALETTE)]
        boxes.append(f'<g><title>{label}: {node.samples} of {total} samples, {node.samples / total:.1%}</title>'
                     f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{_ROW - 1}" fill="{colour}"/>'
                     f'<text x="{left + 2:.1f}" y="{top + 12}">{shown}</text></g>')
        for child_name in sorted(node.children):
            draw(child_name, node.children[child_name], left, depth + 1)
            left += node.children[child_name].samples / total * _WIDTH

    draw("all", root, 0.0, 0)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
            f'font-family="monospace" font-size="11">\n' + "\n".join(boxes) + "\n</svg>")


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    read = read_folded if "--folded" in sys.argv[1:] else read_stacks
    print(render(build(read(sys.stdin))))
