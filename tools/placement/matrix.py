"""Runs `kvroute placement` on a matrix of workloads and fleets. scripts/placement --help says more."""

import argparse
import collections
import concurrent.futures
import json
import math
import os
import subprocess
import sys
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BEGIN, END = "<!-- scripts/placement: begin -->\n", "<!-- scripts/placement: end -->\n"
OURS = "kvroute"
OWN_RULE = "work"  # the same rule, on the pools themselves: none of the others
POOL_TOKENS = 262144  # of a worker, cache x1
BLOCK = 128

Cell = collections.namedtuple("Cell", "workload workers cache driving")
Matrix = collections.namedtuple("Matrix", "workloads workers caches drivings loads requests policies")

FULL = Matrix(("conversation", "chat", "agent", "coder"), (4, 16, 64), (1, 4), ("open", "think"), ("0.5", "0.7", "0.9"), 4000, "all")
QUICK = Matrix(("chat", "agent"), (3,), (1,), ("open", "think"), ("0.7",), 120, "kvroute,lpwl,round_robin")
# What may be asked for apart.
SUBSETS = {"workloads": str, "workers": int, "caches": int, "drivings": str}


def cells(matrix, trace):
    for workload in matrix.workloads:
        if workload == "conversation" and trace is None:
            continue
        for workers in matrix.workers:
            for cache in matrix.caches:
                for driving in matrix.drivings:
                    yield Cell(workload, workers, cache, driving)


def command(cell, matrix, options):
    words = [options.kvroute, "placement", "--workers", str(cell.workers), "--driving", cell.driving, "--load", ",".join(matrix.loads),
             "--block-size", str(BLOCK), "--blocks-per-worker", str(cell.cache * POOL_TOKENS // BLOCK), "--policies", matrix.policies,
             "--repetitions", str(options.repetitions), "--json", "-"]
    if cell.workload == "conversation":
        return words + ["--trace", options.trace]
    return words + ["--generated", cell.workload, "--requests", str(matrix.requests)]


def run_cell(cell, matrix, options):
    run = subprocess.run(command(cell, matrix, options), capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise RuntimeError(f"{cell}: {run.stderr.strip()}")
    return json.loads(run.stdout)


def run_all(matrix, options):
    """[(cell, report)] in the order of cells(), whoever is done first."""
    wanted = list(cells(matrix, options.trace))
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        running = [pool.submit(run_cell, cell, matrix, options) for cell in wanted]
        results = []
        for number, (cell, future) in enumerate(zip(wanted, running), 1):
            results.append((cell, future.result()))
            print(f"placement: {number} of {len(wanted)}: {' '.join(map(str, cell))}", file=sys.stderr)
    return results


def rows(results):
    """One for each cell and load: its noise and its policies' figures by name."""
    for cell, report in results:
        for load in report["loads"]:
            yield cell, load["load"], load["noise"], {row["policy"]: row for row in load["policies"]}


def times(figures):
    return figures["ttft_ms"]["mean"], figures["ttft_ms"]["p99"]


def verdict(ours, best, noise):
    """How a time compares with the best other one: '+' better, '=' within the noise, '-' worse."""
    if abs(ours - best) <= noise * best:
        return "="
    return "+" if ours < best else "-"


def summary(all_rows):
    """By policy: the geometric mean of its times as multiples of kvroute's, the worst of them, and where it was best."""
    ratios, best = collections.defaultdict(list), collections.Counter()
    for _, _, _, policies in all_rows:
        ours = times(policies[OURS])
        for name, figures in policies.items():
            ratios[name].append([own / our for own, our in zip(times(figures), ours)])
        best[min(policies, key=lambda name: times(policies[name])[0])] += 1

    def mean(values):
        return math.exp(sum(map(math.log, values)) / len(values))
    lines = ["| policy | TTFT mean | worst | TTFT p99 | worst | best mean in |", "|---|---|---|---|---|---|"]
    for name, pairs in sorted(ratios.items(), key=lambda item: mean([pair[0] for pair in item[1]])):
        means, p99s = zip(*pairs)
        lines.append(f"| {name} | {mean(means):.2f} | {max(means):.2f} | {mean(p99s):.2f} | {max(p99s):.2f} | {best[name]} |")
    return lines


def details(all_rows):
    lines = ["| workload | workers | cache | driving | load | kvroute mean / p99 ms | best other mean | best other p99 | noise mean / p99 | |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for cell, load, noise, policies in all_rows:
        ours = times(policies[OURS])
        others = {name: times(figures) for name, figures in policies.items() if name not in (OURS, OWN_RULE)}
        best = [min(others, key=lambda name, at=at: others[name][at]) for at in (0, 1)]
        marks = [verdict(ours[at], others[best[at]][at], noise[key]) for at, key in enumerate(("ttft_mean", "ttft_p99"))]
        lines.append(f"| {cell.workload} | {cell.workers} | x{cell.cache} | {cell.driving} | {load} | {ours[0]:.0f} / {ours[1]:.0f} | "
                     f"{others[best[0]][0]:.0f} {best[0]} | {others[best[1]][1]:.0f} {best[1]} | "
                     f"{100 * noise['ttft_mean']:.1f} % / {100 * noise['ttft_p99']:.1f} % | {' '.join(marks)} |")
    return lines


def counts(all_rows):
    """How often kvroute is better (+), alike (=) and worse (-) than the best other: mean, p99."""
    found = (collections.Counter(), collections.Counter())
    for line in details(all_rows)[2:]:
        for counter, mark in zip(found, line.rstrip(" |").split("|")[-1].split()):
            counter[mark] += 1
    return found


def page(results, options, trace_there):
    all_rows = list(rows(results))
    mean, p99 = counts(all_rows)
    lines = [f"{len(all_rows)} rows, {options.repetitions} repetitions of each, profile {results[0][1]['profile']}; pools of {POOL_TOKENS} tokens a worker "
             "(x1) and of four times as many (x4)."]
    if not trace_there:
        lines.append("The conversation trace was not there: its rows are left out.")
    lines += ["", f"`{OWN_RULE}` is kvroute's own rule, on the pools themselves. Against the best of all others, which is another one in each row, kvroute's mean is better beyond the noise in {mean['+']} rows, within it in "
              f"{mean['=']}, worse in {mean['-']}; its p99 is better in {p99['+']}, within the noise in {p99['=']}, worse in {p99['-']}.", "",
              "Times as multiples of kvroute's, geometric means over all rows:", ""] + summary(all_rows)
    lines += ["", "Row by row; `+ = -`: better, within the noise, worse, of mean and p99:", ""] + details(all_rows)
    return "\n".join(lines) + "\n"


def write_page(text):
    path = os.path.join(SOURCE, "docs", "placement.md")
    with open(path, encoding="utf-8") as file:
        old = file.read()
    head, rest = old.split(BEGIN)
    with open(path, "w", encoding="utf-8") as file:
        file.write(head + BEGIN + text + END + rest.split(END)[1])


def plot(results, output):
    try:
        import matplotlib  # pylint: disable=import-outside-toplevel
    except ImportError:
        print("placement: no plots: python3-matplotlib is not installed", file=sys.stderr)
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot  # pylint: disable=import-outside-toplevel
    for cell, report in results:
        figure, axes = pyplot.subplots(figsize=(8, 5))
        names = [row["policy"] for row in report["loads"][0]["policies"]]
        for name in names:
            points = [(load["load"], row["ttft_ms"]["mean"]) for load in report["loads"] for row in load["policies"] if row["policy"] == name]
            axes.plot(*zip(*points), marker="o", linewidth=2.5 if name == OURS else 1, label=name)
        axes.set(yscale="log", xlabel="load", ylabel="TTFT mean, ms", title=" ".join(map(str, cell)))
        axes.legend(fontsize=6, ncol=2)
        figure.savefig(os.path.join(output, "-".join(map(str, cell)) + ".png"), dpi=100)
        pyplot.close(figure)


def read_options(arguments):
    parser = argparse.ArgumentParser(prog="scripts/placement")
    parser.add_argument("--kvroute", default=os.path.join(SOURCE, "build", "release", "kvroute"))
    parser.add_argument("--trace", default=None)
    parser.add_argument("--output", default=os.path.join(SOURCE, "build", "placement"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    for name, kind in SUBSETS.items():
        parser.add_argument(f"--{name}", type=kind, nargs="+", choices=getattr(FULL, name))
    parser.add_argument("--write-page", action="store_true")
    options = parser.parse_args(arguments)
    if options.trace is None:
        beside = os.path.join(SOURCE, "..", "shared", "traces", "conversation_trace.jsonl")
        options.trace = beside if os.path.exists(beside) else None
    if options.trace is not None and not os.path.exists(options.trace):
        parser.error(f"--trace {options.trace}: cannot be read")
    return options


def main(arguments):
    options = read_options(arguments)
    matrix = QUICK if options.quick else FULL
    matrix = matrix._replace(**{name: tuple(getattr(options, name)) for name in SUBSETS if getattr(options, name)})
    os.makedirs(options.output, exist_ok=True)
    start = time.monotonic()
    results = run_all(matrix, options)
    with open(os.path.join(options.output, "placement.json"), "w", encoding="utf-8") as file:
        json.dump([dict(cell._asdict(), report=report) for cell, report in results], file, indent=1)
    text = page(results, options, options.trace is not None or "conversation" not in matrix.workloads)
    print(text, end="")
    if options.write_page:
        write_page(text)
    if not options.quick:
        plot(results, options.output)
    print(f"placement: {time.monotonic() - start:.0f} s; figures in {options.output}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
