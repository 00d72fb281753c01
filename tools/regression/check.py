"""scripts/check-regression: compares two benchmark results, or watches a live server."""

import argparse
import contextlib
import json
import os
import re
import sys
import tempfile

from tools.regression import bench, compare, live_metrics
from tools.regression.results import UnusableInput, load


def _parser():
    parser = argparse.ArgumentParser(
        prog="check-regression",
        description="Exit status 0: no regression; 1: one at or above the threshold; 2: unusable input.")
    parser.add_argument("--baseline", help="result of scripts/bench or scripts/establish-baseline")
    parser.add_argument("--current", help="result of scripts/bench to judge")
    parser.add_argument("--threshold", type=float, default=0.1, help="share worse that fails")
    parser.add_argument("--confirm", action="store_true", help="measure what fails again here; it must fail twice")
    parser.add_argument("--build", default="", help="of --confirm; default build/release")
    parser.add_argument("--baseline-build", default="",
                        help="of --confirm: the build of the baseline, measured again in turns with the other")
    parser.add_argument("--all", action="store_true", help="show unchanged metrics too")
    parser.add_argument("--json", help="write the report there")
    parser.add_argument("--metrics", metavar="URL", help="judge a live server by its /metrics instead")
    parser.add_argument("--seconds", type=float, default=10, help="between the two scrapes")
    parser.add_argument("run", nargs="*", metavar="COMMAND", help="runs it between the two scrapes instead (after --)")
    for what, p50, p90, p99 in (("event", 0.5, 1, 2), ("routing", 0.25, 0.5, 1)):
        for name, default in (("p50", p50), ("p90", p90), ("p99", p99)):
            parser.add_argument(f"--{what}-{name}-ms", type=float, default=default)
    parser.add_argument("--events-per-s", type=float, default=8000, help="0: not judged")
    parser.add_argument("--error-percent", type=float, default=0.5)
    parser.add_argument("--memory-percent", type=float, default=80)
    parser.add_argument("--memory-limit-bytes", type=float, default=0, 
                        help="default: what this machine allows, when the server is on it; else not judged")
    return parser


def _limits(options):
    def quantiles(what):
        return {q: getattr(options, f"{what}_p{q * 100:.0f}_ms") for q in (0.5, 0.9, 0.99)}
    return live_metrics.Limits(quantiles("event"), quantiles("routing"), options.events_per_s,
                               options.error_percent, options.memory_percent,
                               options.memory_limit_bytes or live_metrics.local_memory_limit(options.metrics))


def _live(options):
    checks = live_metrics.watch(options.metrics, options.seconds, options.run, _limits(options))
    failed = any(not check.passed for check in checks)
    return failed, live_metrics.render(checks), {"failed": failed,
                                                 "checks": [check.to_json() for check in checks]}


TURNS = 3


def _filter_of(failures):
    """(regular expression, whether quick) of just the benchmarks that failed."""
    names = sorted({"/".join(row.metric.rsplit(":", 1)[0].split("/")[:3]) if row.metric.startswith("replay/")
                    else row.metric.rsplit(":", 1)[0] for row in failures})
    exactly = "^(" + "|".join(
        "replay/" + name.split("/")[2] if name.startswith("replay/") else re.escape(name) + "(/iterations:1)?(/|$)"
        for name in names) + ")"
    return exactly, any(name.startswith("replay/generated") for name in names)


def remeasure(failures, build, more=()):
    """A new result of just the benchmarks that failed."""
    exactly, quick = _filter_of(failures)
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "again.json")
        arguments = ["--filter", exactly, "--out", out, *more] + (["--quick"] if quick else [])
        with contextlib.redirect_stdout(sys.stderr):
            status = bench.main(arguments + (["--build", build] if build else []))
        if status != 0:
            raise UnusableInput("what failed could not be measured again")
        return load(out)


def remeasure_in_turns(failures, builds):
    """A new result of each build: a machine that is slower for a minute then is so for all of them."""
    again = [{"samples": {}} for _ in builds]
    for _ in range(TURNS):
        for document, build in zip(again, builds):
            for metric, values in remeasure(failures, build, ("--repetitions", "3", "--attempts", "2"))["samples"].items():
                document["samples"].setdefault(metric, []).extend(values)
    return again


def _compare(options):
    if not (options.baseline and options.current):
        raise UnusableInput("give --baseline and --current, or --metrics")
    if options.baseline_build and not options.confirm:
        raise UnusableInput("--baseline-build is of --confirm")
    if not 0 < options.threshold < 10:
        raise UnusableInput(f"--threshold {options.threshold}: a share between 0 and 10")
    baseline = load(options.baseline)
    report = compare.compare(baseline, load(options.current), options.threshold)
    text = compare.render(report, options.all)
    if report.failures and options.confirm:
        if options.baseline_build:
            baseline, current = remeasure_in_turns(report.failures, (options.baseline_build, options.build))
        else:
            current = remeasure(report.failures, options.build)
        again = compare.confirm(report, baseline, current, options.threshold)
        text += f"\nmeasured again: {len(again)} of {len(report.failures)} fail again"
        report.confirmed = [row.metric for row in again]
        return bool(again), text, report.to_json()
    return bool(report.failures), text, report.to_json()


def main(arguments=None):
    options = _parser().parse_args(arguments)
    try:
        failed, text, document = _live(options) if options.metrics else _compare(options)
        if options.json:
            with open(options.json, "w", encoding="utf-8") as file:
                json.dump(document, file, indent=2)
    except (UnusableInput, OSError) as error:
        print(f"check-regression: {error}", file=sys.stderr)
        return 2
    print(text)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
