"""What a case is, and how cases run."""

import inspect
import sys
import time
import traceback

import proxy

CASES = []


class Skip(Exception):
    pass


def case(row, needs=()):
    """A case of a row of the contract. `needs` names options without which it is skipped."""
    def add(function):
        CASES.append((row, inspect.getdoc(function).splitlines()[0], function, tuple(needs)))
        return function
    return add


def run(target, only=""):
    """Returns the number of failed cases."""
    failed = skipped = passed = 0
    for row, title, function, needs in CASES:
        if only and only not in f"{row} {title} {function.__name__}":
            continue
        missing = [name for name in needs if not getattr(target, name)]
        begin = time.monotonic()
        try:
            if missing:
                raise Skip("needs " + ", ".join("--" + name.replace("_", "-") for name in missing))
            function(target)
            passed += 1
            word, why = "pass", ""
        except Skip as skip:
            skipped += 1
            word, why = "skip", str(skip)
        except (proxy.Broken, ValueError) as broken:
            failed += 1
            word, why = "FAIL", str(broken)
        except Exception:  # a fault of the suite's, or of the connection
            failed += 1
            word, why = "FAIL", traceback.format_exc()
        print(f"{word}  {row:<24} {title} ({time.monotonic() - begin:.1f} s)" + (f"\n      {why}" if why else ""), flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped", file=sys.stderr)
    return failed
