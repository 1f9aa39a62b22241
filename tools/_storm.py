"""Runs suites that nobody wrote for the freezer, while it freezes them: `tools/storm --help`."""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from storms import report
from storms.controller import Weather
from storms.packages import PACKAGES, FetchError, fetch
from storms.programs import PROGRAMS, fetch_program
from storms.suites import MODULES, Run, Suite, run, standard
from storms.verdicts import Result, judge


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for; return 0 if every suite passed."""
    options = parse(arguments)
    if options.where != "installed" and sys.version_info < (3, 12):
        sys.exit(f"tools/storm: --where {options.where} needs CPython 3.12 or newer")
    print(report.head(options), flush=True)
    results = []
    try:
        for result in judge_all(options):
            results.append(result)
            print(report.row(result), *report.remarks(result), sep="\n", flush=True)
    except FetchError as error:
        sys.exit(f"tools/storm: {error}")
    print(report.foot(results))
    if options.json is not None:
        content = report.as_json(results, options)
        Path(options.json).write_text(json.dumps(content, indent=1) + "\n")
    return 0 if results and all(result.passed for result in results) else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    names = ", ".join((*MODULES, *(package.name for package in PACKAGES)))
    programs = ", ".join(program.name for program in PROGRAMS)
    parser = argparse.ArgumentParser(
        prog="tools/storm",
        allow_abbrev=False,
        description="Run suites and programs that nobody wrote for the freezer in a process that "
        "is frozen at random, and compare the outcome of each test, or what a program prints, with "
        "the one that it has without us. The status is 0 if none is broken and enough freezes had "
        "threads in them.",
        epilog=f"Without SUITE: {names}. The programs: {programs}.",
    )
    add = parser.add_argument
    text = (
        "a module of the standard library's tests, as for python -m test, or the name of a package "
        "or program"
    )
    add("suite", nargs="*", metavar="SUITE", help=text)
    add(
        "--pytest", nargs=argparse.REMAINDER, metavar="ARG", help="run pytest with all that follows"
    )
    add("--programs", action="store_true", help="run all the programs")
    add(
        "--where",
        choices=("installed", "unlocked", "anywhere"),
        default="installed",
        help="threads are enrolled by install(), and stop where they wait; or every thread is "
        "stopped as it is, between two bytecodes, outside of sections or anywhere; default: "
        "installed",
    )
    add("--match", metavar="PATTERN", help="only these tests, as for python -m test --match")
    add("--seed", default=f"{random.randrange(10**6):06}", help="of the storms; default: random")
    add("--json", metavar="FILE", help="write everything there")
    for name, kind, default, metavar, text in NUMBERS:
        add(name, type=kind, default=default, metavar=metavar, help=f"{text}; default: {default:g}")
    options = parser.parse_args(arguments)
    if options.pytest is not None and (options.suite or options.match):
        parser.error("--pytest runs a suite of its own: give no SUITE and no --match")
    return options


def _amount(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return value


NUMBERS = (
    ("--every", _amount, 1.0, "MS", "a freeze so often, on average"),
    ("--timeout", _amount, 0.1, "S", "seconds in which all have to stop, or the freeze gives up"),
    (
        "--at-least",
        _count,
        10,
        "N",
        "freezes that have to stand with a thread besides the main one",
    ),
    ("--storms", _count, 20, "N", "run a suite in at most so many storms until they did"),
    ("--retries", _count, 5, "N", "run a test that differs so many times more, each way"),
    ("--limit", _amount, 600.0, "S", "seconds after which a process counts as hanging"),
)


def judge_all(options: argparse.Namespace) -> Iterator[Result]:
    """Run one suite after the other, and give the results as they come. Raises FetchError."""
    for suite in suites_of(options):
        if suite.is_there():
            runner = runner_of(suite, options)
            yield judge(suite, runner, options.retries, options.at_least, options.storms)
        else:
            yield Result(suite, missing=True)


def suites_of(options: argparse.Namespace) -> Iterator[Suite]:
    """The suites that the command line names. Raises FetchError."""
    if options.pytest is not None:
        arguments = ("-p", "no:cacheprovider", *options.pytest)
        yield Suite("pytest", "pytest", arguments, folder=Path.cwd(), paths=(str(Path.cwd()),))
        return
    packages = {package.name: package for package in PACKAGES}
    programs = {program.name: program for program in PROGRAMS}
    names = (*options.suite, *(programs if options.programs else ()))
    for name in names or (*MODULES, *packages):
        if name in packages:
            yield fetch(packages[name])
        elif name in programs:
            yield fetch_program(programs[name])
        else:
            yield standard(name, match=options.match)


def runner_of(suite: Suite, options: argparse.Namespace) -> Callable[[Sequence[str], bool], Run]:
    """What runs this suite's tests; each time in a storm of its own, which the seed decides."""
    where = None if options.where == "installed" else options.where
    weather = Weather(options.seed, options.every / 1000, options.timeout, where)
    rounds = iter(range(10**6))

    def run_tests(tests: Sequence[str], storm: bool) -> Run:
        own = replace(weather, seed=f"{options.seed}/{suite.name}/{next(rounds)}")
        return run(suite, own if storm else None, options.limit, tests)

    return run_tests


if __name__ == "__main__":
    # So that it takes the processes of the suite with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main(sys.argv[1:]))
