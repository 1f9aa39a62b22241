"""The command line of ``python -m stress``.

Exit status: 0 if every check held, 1 if one did not, 2 wrong use (nothing was run), 130 ended by
Ctrl-C before all was run, with every check until then held.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from time import monotonic

from freezethreads.cli._parser import Parser, count, seconds
from freezethreads.testing import Plan, Progress, Result, new_seed
from stress import _view
from stress._job import Job
from stress._launch import Interrupts, run_job
from stress._mutation import run_mutants
from stress.mutants import MUTANTS
from stress.scenarios import LoadError, built_in, load

LEAST = 0.1
"""Seconds that each scenario gets, however late it is."""
TELL_EVERY = 2.0
"""Seconds between two lines of progress, where there is no live view."""
DURATIONS = {"seconds": 60.0, "freeze_timeout": 5.0, "patience": 10.0}
DURATIONS_OF_MUTANTS = {"seconds": 10.0, "freeze_timeout": 2.0, "patience": 3.0}


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for, and return the exit status."""
    parser = make_parser()
    options = _complete(parser.parse_args(arguments))
    names = _choose(parser, options)
    if options.mutants is not None:
        return run_mutants(options, _plan(options, options.seconds))
    print(_view.head(options.seed, options.threads, options.seconds, options.patience), flush=True)
    results = []
    with Interrupts() as interrupts:
        for result in _run_each(options, names, interrupts):
            results.append(result)
            print(_view.row(result), flush=True)
            if not result.passed:
                print(_view.report(result, options.load), flush=True)
    print(_view.foot(results, len(names)))
    _write_files(options, results)
    if not all(result.passed for result in results):
        return 1
    return 130 if interrupts.asked else 0


def _run_each(
    options: argparse.Namespace, names: list[str], interrupts: Interrupts
) -> Iterator[Result]:
    """Run one scenario after the other, each in its share of the time that is left."""
    began = monotonic()
    for index, name in enumerate(names):
        left = began + options.seconds - monotonic()
        plan = _plan(options, max(LEAST, left / (len(names) - index)))
        yield run_job(Job(name, plan, options.load), _Teller(), lambda: interrupts.asked)
        if interrupts.asked:
            return


def make_parser() -> Parser:
    """Say which arguments there are."""
    parser = Parser(
        prog="python -m stress",
        allow_abbrev=False,
        description="Torture the freezer: threads that break an invariant and mend it before each "
        "safepoint, frozen at random and checked. The status is 0 if every check held.",
    )
    add = parser.add_argument
    text = "for all together; default: 60. For each mutant in each scenario; default: 10"
    add("--seconds", type=seconds, metavar="S", help=text)
    add("--threads", type=count, default=8, metavar="N", help="in each scenario; default: 8")
    add("--seed", default=new_seed(), metavar="X", help="of all choices; default: a new one")
    add("--scenario", nargs="+", metavar="NAME", help="only these; default: all")
    add("--load", metavar="FILE", help="run the scenarios that this Python file defines")
    text = "Python's, in seconds; default: one that the seed chooses for each scenario"
    add("--python-switch-interval", type=seconds, metavar="S", help=text)
    text = "seconds in which all threads have to stop; default: 5, and 2 with mutants"
    add("--freeze-timeout", type=seconds, metavar="S", help=text)
    text = "seconds in which each thread has to make a step; default: 10, and 3 with mutants"
    add("--patience", type=seconds, metavar="S", help=text)
    text = "break a rule of the freezer, one of these at a time, and see whether it is noticed"
    add("--mutants", nargs="*", metavar="NAME", help=f"{text}; without names: each")
    add("--json", metavar="FILE", help="write everything there")
    return parser


def _complete(options: argparse.Namespace) -> argparse.Namespace:
    """Fill in the durations that were not given."""
    defaults = DURATIONS if options.mutants is None else DURATIONS_OF_MUTANTS
    for name, duration in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, duration)
    return options


def _choose(parser: Parser, options: argparse.Namespace) -> list[str]:
    """The names of the scenarios to run."""
    try:
        known = built_in() if options.load is None else load(options.load)
    except LoadError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    names: list[str] = options.scenario or list(known)
    _refuse_unknown(parser, "scenario", names, known)
    if options.mutants is not None:
        if options.load is not None:
            parser.error("the mutants are for the scenarios that come with the runner: no --load")
        _refuse_unknown(parser, "mutant", options.mutants, MUTANTS)
    return names


def _refuse_unknown(parser: Parser, what: str, names: list[str], known: Iterable[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"no {what} {', '.join(unknown)}; there are {', '.join(known)}")


def _plan(options: argparse.Namespace, duration: float) -> Plan:
    return Plan(
        options.seed,
        duration,
        options.threads,
        options.freeze_timeout,
        options.patience,
        options.python_switch_interval,
    )


def _write_files(options: argparse.Namespace, results: list[Result]) -> None:
    if options.json is not None:
        content = {"seed": options.seed, "results": [result.as_dict() for result in results]}
        Path(options.json).write_text(json.dumps(content, indent=1) + "\n")


class _Teller:
    """Prints a line of progress now and then."""

    def __init__(self) -> None:
        self._told = monotonic()

    def __call__(self, progress: Progress) -> None:
        if monotonic() - self._told >= TELL_EVERY:
            self._told = monotonic()
            print(_view.progress_line(progress), flush=True)
