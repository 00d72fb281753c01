"""The nightly history: a rolling baseline of the last days, and a page of trends."""

import argparse
import html
import json
import os
import statistics
import sys

from tools.regression import must_reach
from tools.regression.results import UnusableInput, load


def read_history(folder):
    """[(date, document)] of every result in the folder, oldest first. Files that cannot be read are named and left out."""
    history = []
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".json"):
            continue
        try:
            document = load(os.path.join(folder, name))
        except UnusableInput as error:
            print(f"trends: {error}", file=sys.stderr)
            continue
        history.append((document.get("environment", {}).get("date", name), document))
    return sorted(history, key=lambda entry: entry[0])


def rolling_baseline(history, days):
    """One result that has the samples of the last `days` results."""
    recent = [document for _, document in history[-days:]]
    if not recent:
        raise UnusableInput("no history yet")
    samples = {}
    for document in recent:
        for metric, values in document["samples"].items():
            samples.setdefault(metric, []).extend(values)
    return {"environment": recent[-1].get("environment", {}), "samples": samples}


def _line(points, width=480, height=80):
    low, high = min(points), max(points)
    span = (high - low) or 1
    step = width / max(len(points) - 1, 1)
    path = " ".join(f"{i * step:.1f},{height - (value - low) / span * height:.1f}"
                    for i, value in enumerate(points))
    return (f'<svg width="{width}" height="{height}" viewBox="0 -4 {width} {height + 8}">'
            f'<polyline points="{path}" fill="none" stroke="#0b6" stroke-width="2"/></svg>')


def render_page(history):
    parts = ["<!doctype html><meta charset=utf-8><title>kvroute: benchmark trends</title>",
             "<style>body{font-family:sans-serif;max-width:60em;margin:2em auto}</style>",
             "<h1>kvroute: benchmark trends</h1>"]
    for target in must_reach.TARGETS:
        points = [(date, figure) for date, document in history
                  if (figure := target.figure(document["samples"])) is not None]
        if not points:
            continue
        figures = [figure for _, figure in points]
        parts.append(f"<h2>{html.escape(target.what)}</h2>{_line(figures)}"
                     f"<p>{html.escape(points[0][0])} to {html.escape(points[-1][0])}: last "
                     f"{figures[-1]:.4g} {html.escape(target.unit)}, median "
                     f"{statistics.median(figures):.4g}, target "
                     f"{'at least' if target.at_least else 'at most'} {target.limit:g}</p>")
    return "\n".join(parts) + "\n"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="trends", description=__doc__)
    parser.add_argument("--history", required=True, help="folder of results of scripts/bench")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--baseline", help="write the rolling baseline there")
    parser.add_argument("--page", help="write the page of trends there")
    options = parser.parse_args(arguments)
    try:
        history = read_history(options.history)
        if options.baseline:
            with open(options.baseline, "w", encoding="utf-8") as file:
                json.dump(rolling_baseline(history, options.days), file)
        if options.page:
            with open(options.page, "w", encoding="utf-8") as file:
                file.write(render_page(history))
    except (UnusableInput, OSError) as error:
        print(f"trends: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
