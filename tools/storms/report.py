"""How results are shown: as a table for people, with every difference below it, and as JSON."""

from __future__ import annotations

import argparse
import platform
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from storms.controller import can_look
from storms.verdicts import BROKEN, EXCLUDED, FAILS_ALONE, FLAKY_ALONE, SAME, Result

COLUMNS = (
    ("suite", 20),
    ("tests", 6),
    ("as alone", 9),
    ("BROKEN", 7),
    ("fail alone", 11),
    ("flaky alone", 12),
    ("excluded", 9),
    ("freezes", 8),
    ("with threads", 13),
    ("threads", 10),
    ("stop", 9),
    ("with locks", 11),
    ("timed out", 10),
    ("tests struck", 13),
    ("storms", 7),
    ("alone", 8),
    ("in storms", 10),
)
SHOWN = 25
"""Lines of a failure's text that are shown; the JSON has all of them."""

NOTES = """
freezes: that stood. with threads: those in which at least one thread stood besides the main one.
threads: how many stood in such a one, the least, the median and the most. stop: the median of the
times until all stood. with locks: freezes in which a thread stood with a lock, as far as one can
tell. timed out: somebody did not stop in time, everybody went on. tests struck: in which at least
one freeze stood.
The Python programs that a test starts as processes of their own run without us. The children of a
fork have us, and no controller.
""".strip()

LOOKED = (
    "In each freeze the controller looked twice at each thread that stood: none moved, unless said."
)
NOT_LOOKED = "Whether they stood still was not looked at: this build cannot read a thread's frames."


def head(options: argparse.Namespace) -> str:
    """The lines above the results."""
    settings = (
        f"CPython {platform.python_version()}, {options.where}, a freeze about every "
        f"{options.every:g} ms, each for at most {options.timeout:g} s, seed {options.seed}"
    )
    cells = [name.rjust(width) for name, width in COLUMNS[1:]]
    line = f"{COLUMNS[0][0]:<{COLUMNS[0][1]}}{''.join(cells)}"
    return f"{settings}\n\n{line}\n{'-' * len(line)}"


def row(result: Result) -> str:
    """One suite of the table."""
    name = f"{result.suite.name:<{COLUMNS[0][1]}}"
    if result.missing:
        return f"{name}  cannot be had for this Python"
    storm = result.storm.account
    verdicts = (BROKEN, FAILS_ALONE, FLAKY_ALONE, EXCLUDED)
    cells: list[object] = [len(result.tallies)]
    cells += [len(result.tests_that_are(verdict)) for verdict in (SAME, *verdicts)]
    cells += [
        len(storm.stood),
        result.freezes_with_threads,
        _spread(list(filter(None, storm.stood))),
    ]
    stop = f"{1000 * statistics.median(storm.waited):.1f} ms" if storm.waited else "-"
    cells += [stop, storm.with_locks, len(storm.stragglers), len(storm.struck), result.storms]
    cells += [f"{result.alone.seconds:.1f} s", f"{result.storm.seconds:.1f} s"]
    widths = [width for _, width in COLUMNS[1:]]
    return name + "".join(str(cell).rjust(w) for cell, w in zip(cells, widths, strict=True))


def _spread(counts: Sequence[int]) -> str:
    if not counts:
        return "-"
    return f"{min(counts)}/{statistics.median(counts):g}/{max(counts)}"


def remarks(result: Result) -> list[str]:
    """What the row cannot say, in lines: each test that is not as alone, and each problem."""
    lines: list[str] = []
    for verdict in (BROKEN, EXCLUDED, FLAKY_ALONE, FAILS_ALONE):
        for test in result.tests_that_are(verdict):
            tally = result.tallies[test]
            reason = f" ({result.suite.excluded[test]})" if verdict == EXCLUDED else ""
            lines.append(f"  {verdict}{reason}: {test}")
            if verdict != EXCLUDED:
                lines.append(
                    f"    alone {_counts(tally.alone)}; in the storm {_counts(tally.storm)}"
                )
            if verdict == BROKEN:
                lines += [f"    | {line}" for line in tally.detail.splitlines()[-SHOWN:]]
    for problem in result.problems:
        lines += [f"  {line}" for line in problem.splitlines()]
    for place, count in _stragglers(result)[:3]:
        lines.append(f"  did not stop in time: {count} times at {place}")
    return lines


def _stragglers(result: Result) -> list[tuple[str, int]]:
    """Where threads were that did not stop in time, and how often."""
    places = Counter(place for freeze in result.storm.account.stragglers for place in freeze)
    return places.most_common()


def foot(results: Sequence[Result]) -> str:
    """The lines below the results, and last the verdict."""
    missing = sum(result.missing for result in results)
    failed = sum(not result.passed for result in results) - missing
    tests = sum(len(result.tallies) for result in results)
    stood = sum(len(result.storm.account.stood) for result in results)
    verdict = f"{failed} of {len(results)} suites FAILED" if failed else "all ok"
    absent = f", {missing} not to be had for this Python" if missing else ""
    look = "\n".join([LOOKED, _verdicts(results)]) if can_look() else NOT_LOOKED
    return f"\n{NOTES}\n{look}\n\n{verdict}{absent}: {tests} tests, {stood} freezes"


def _verdicts(results: Sequence[Result]) -> str:
    """What was said of deadlocks. (Who moved all the same is a fault of the freezer.)"""
    asked = [count for result in results for count in result.storm.account.stuck]
    named = sum(max(result.storm.account.stuck, default=0) for result in results)
    return (
        f"The freezer was asked {len(asked)} times who can never go on, and named {named} threads: "
        "none did go on, unless said."
    )


def _counts(outcomes: Counter[str]) -> str:
    total = outcomes.total()
    return ", ".join(f"{outcome} {count} of {total}" for outcome, count in outcomes.items())


def as_json(results: Sequence[Result], options: argparse.Namespace) -> dict[str, Any]:
    """All there is to know."""
    return {
        "python": platform.python_version(),
        "build": " ".join(platform.python_build()),
        "options": vars(options),
        "suites": [_suite_as_json(result) for result in results],
    }


def _suite_as_json(result: Result) -> dict[str, Any]:
    storm = result.storm.account
    return {
        "name": result.suite.name,
        "passed": result.passed,
        "missing": result.missing,
        "problems": result.problems,
        "freezes": {
            "stood": len(storm.stood),
            "stood_with_threads": result.freezes_with_threads,
            "stood_with_main_thread": storm.main_stood,
            "stood_with_locks": storm.with_locks,
            "waited": storm.waited,
            "timed_out": len(storm.stragglers),
            "by_threads": dict(sorted(Counter(storm.stood).items())),
            "stragglers": dict(_stragglers(result)),
            "stuck": storm.stuck,
            "faults": storm.faults,
            "tests_struck": sorted(storm.struck),
        },
        "storms": result.storms,
        "seconds": {"alone": result.alone.seconds, "storm": result.storm.seconds},
        "tests": {
            test: {
                "verdict": result.verdict_on(test),
                "alone": tally.alone,
                "storm": tally.storm,
                "detail": tally.detail,
            }
            for test, tally in result.tallies.items()
        },
    }
