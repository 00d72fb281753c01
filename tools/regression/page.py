"""The generated part of docs/benchmarks.md."""

import re

from tools.regression import metrics, must_reach
from tools.regression.results import UnusableInput

BEGIN = "<!-- results: written by scripts/bench --docs -->"
END = "<!-- end of results -->"
_COLUMNS = ("mean_ns", "p50_ns", "p99_ns", "allocs_per_op")
# Counters worth a line of their own are in the table of figures to reach; these are not shown at all.
_HIDDEN = re.compile(r"(^|_)(mean|p90|p999|max)_ns$|cpu_share$|foreign_cores$|^probe_ns$|matches$|_allocs_per_op$|^idle_|^failed$")


def _environment(document):
    known = document["environment"]
    return (f"{known['cpu']}, {known['cores']} cores, Linux {known['kernel']}; {known['compiler']}, "
            f"{known['flags']}; commit {known['commit'][:12]}{' with changes' if known['modified'] else ''}; "
            f"{known['date']}. Medians of the undisturbed repetitions (all, where there are none).")


def _commands(document):
    def of(run):
        commit = run.get("commit", "")
        return "" if commit == document["environment"]["commit"] or not commit else f", commit {commit[:12]}"
    runs = [f"{run['what']} ({run['repetitions']} repetitions, {run['seconds']} s, load {run['load_average']:.3g}{of(run)})"
            for run in document.get("runs", [])]
    return "Measured with `scripts/bench`: " + ", ".join(runs) + "." if runs else ""


def _short(value):
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= limit:
            return f"{value / (limit if unit != ' k' else 1e3):.4g}{unit}"
    return f"{value:.4g}"


def _all_benchmarks(samples):
    by_name = {}
    for metric in samples:
        name, counter = metric.rsplit(":", 1)
        by_name.setdefault(name, {})[counter] = metrics.figure_of(metric, samples)
    lines = ["| benchmark | mean ns | p50 ns | p99 ns | allocations | other figures |", "|---|---|---|---|---|---|"]
    for name in sorted(by_name):
        counters = by_name[name]
        cells = [f"{counters[column]:.4g}" if column in counters else "" for column in _COLUMNS]
        others = [f"{counter} {_short(value)}" for counter, value in sorted(counters.items())
                  if counter not in _COLUMNS and not _HIDDEN.search(counter)]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {', '.join(others)} |")
    return "\n".join(lines)


def render(document):
    samples = document["samples"]
    return (f"{_environment(document)} {_commands(document)}\n\n{must_reach.render_markdown(samples)}\n\n"
            f"Every benchmark:\n\n{_all_benchmarks(samples)}")


def update(path, document):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        raise UnusableInput(f"{path}: the markers of the results are missing")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text[:begin + len(BEGIN)] + "\n\n" + render(document) + "\n\n" + text[end:])
