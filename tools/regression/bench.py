"""scripts/bench: runs the benchmarks and the corpus replays, and writes one result file."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

from tools.regression import environment, must_reach, page, results, runner

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _parser():
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--build", default=os.path.join(SOURCE, "build", "release"))
    parser.add_argument("--filter", default="",
                        help="regular expression on benchmark names (--filter=-X: all but X); 'replay/' are the corpus replays")
    parser.add_argument("--part", default="", help="one of --list-parts: together they are everything")
    parser.add_argument("--list-parts", action="store_true")
    parser.add_argument("--repetitions", type=int, default=5, help="each in a process of its own")
    parser.add_argument("--full-repetitions", type=int, default=3, help="of what is named /full; /huge runs once")
    parser.add_argument("--attempts", type=int, default=3,
                        help="at most so many times the repetitions, for what does not settle earlier")
    parser.add_argument("--min-time", type=float, default=0.2, help="seconds a repetition of one benchmark")
    parser.add_argument("--quick", action="store_true", help="small sizes only, nothing that takes minutes")
    parser.add_argument("--trace", default="", help="Mooncake-format trace (default: the one in ../shared)")
    parser.add_argument("--out", default=os.path.join(SOURCE, "out", "bench.json"))
    parser.add_argument("--append", action="store_true", help="add to the samples in --out, replacing those measured again")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/benchmarks.md")
    return parser


def _check(options):
    if min(options.repetitions, options.full_repetitions, options.attempts) < 1:
        raise results.UnusableInput("--repetitions, --full-repetitions and --attempts are at least 1")
    if options.part and options.filter:
        raise results.UnusableInput("give --part or --filter")
    if options.part and options.part not in runner.PARTS:
        raise results.UnusableInput(f"--part {options.part}: one of {', '.join(runner.PARTS)}")


def _document(options):
    """What --append adds to, or an empty one."""
    if options.append and os.path.exists(options.out):
        document = results.load(options.out)
        document.setdefault("runs", [])
        return document
    return {"environment": {}, "runs": [], "samples": {}}


def _write(options, document):
    os.makedirs(os.path.dirname(os.path.abspath(options.out)), exist_ok=True)
    with open(options.out, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, sort_keys=True)
        file.write("\n")
    if options.docs:
        page.update(os.path.join(SOURCE, "docs", "benchmarks.md"), document)


def measure(options):
    document = _document(options)
    document["environment"] = environment.describe(SOURCE, options.build)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        measured = runner.Runner(options, SOURCE, scratch).run()
    if not measured:
        raise results.UnusableInput(f"nothing matches {options.part or options.filter}")
    document["samples"].update(measured)
    what = options.part or options.filter or "everything"
    document["runs"] = [run for run in document["runs"] if run["what"] != what]  # replaced
    document["runs"].append({
        **{key: document["environment"][key] for key in ("commit", "modified", "date", "load_average")},
        "what": what, "repetitions": options.repetitions,
        "metrics": len(measured), "seconds": round(time.monotonic() - start)})
    _write(options, document)
    return document


def main(arguments=None):
    options = _parser().parse_args(arguments)
    try:
        _check(options)
        if options.list_parts:
            print("\n".join(f"{name:<14} {part.seconds:>4} s  {part.what}" for name, part in runner.PARTS.items()))
            return 0
        document = measure(options)
    except (results.UnusableInput, subprocess.CalledProcessError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    print(must_reach.render_text(document["samples"]))
    print(f"{len(document['samples'])} metrics in {options.out}; this run: {document['runs'][-1]['seconds']} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
