"""The generated part of docs/benchmarks.md."""

import statistics

from tools.regression import must_reach
from tools.regression.results import UnusableInput

BEGIN = "<!-- results: written by scripts/bench --docs -->"
END = "<!-- end of results -->"
# Families that have a table of their own below the figures to reach: their key counters.
_SHOWN = ("p50_ns", "p99_ns", "allocs_per_op", "events_per_s", "ops_per_s", "rss_bytes_per_holding",
          "rss_bytes_per_block", "growth_ratio", "p99_ratio")


def _environment(document):
    known = document["environment"]
    return (f"{known['cpu']}, {known['cores']} cores, Linux {known['kernel']}; {known['compiler']}, "
            f"{known['flags']}; commit {known['commit'][:12]}{' with changes' if known['modified'] else ''}; "
            f"{known['date']}. Medians of the repetitions.")


def _all_benchmarks(samples):
    by_name = {}
    for metric, values in samples.items():
        name, counter = metric.rsplit(":", 1)
        if counter in _SHOWN:
            by_name.setdefault(name, {})[counter] = statistics.median(values)
    lines = ["| benchmark | " + " | ".join(_SHOWN) + " |", "|---|" + "---|" * len(_SHOWN)]
    for name in sorted(by_name):
        cells = [f"{by_name[name][counter]:.4g}" if counter in by_name[name] else "" for counter in _SHOWN]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def render(document):
    samples = document["samples"]
    return (f"{_environment(document)}\n\n{must_reach.render_markdown(samples)}\n\n"
            f"Every benchmark:\n\n{_all_benchmarks(samples)}")


def update(path, document):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        raise UnusableInput(f"{path}: the markers of the results are missing")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text[:begin + len(BEGIN)] + "\n\n" + render(document) + "\n\n" + text[end:])
