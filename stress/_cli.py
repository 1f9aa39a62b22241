"""The command line of ``python -m stress``.

Exit status: 0 if every check held, 1 if one did not, 2 wrong use (nothing was run), 130 ended by
Ctrl-C before all was run, with every check until then held.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from freezethreads.cli._parser import Parser, count, seconds
from freezethreads.testing import Plan, Result, new_seed
from stress._explore import run_exploration, schedule_of
from stress._files import check_files, write_files
from stress._job import Job
from stress._launch import Interrupts, run_job
from stress._mutation import run_mutants
from stress._peers import run_peers
from stress._programs import program_of, run_programs
from stress._rows import foot, what_runs
from stress._view import View, view
from stress.exploration.scenarios import SCENARIOS
from stress.mutants import MUTANTS
from stress.scenarios import LoadError, built_in, load

DURATIONS = {"seconds": 60.0, "freeze_timeout": 5.0, "patience": 10.0}
DURATIONS_OF_MUTANTS = {"seconds": 10.0, "freeze_timeout": 2.0, "patience": 3.0}


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for, and return the exit status."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.explore is not None:
        _refuse_unknown(parser, "scenario", options.explore, SCENARIOS)
        _check_mutants_to_explore(parser, options)
        return run_exploration(options)
    options = _complete(options)
    names = _choose(parser, options)
    if problem := check_files(options):
        parser.exit(2, f"{parser.prog}: {problem}\n")
    if options.peers is not None:
        return run_peers(options.peers)
    if options.program is not False:
        return run_programs(options)
    if options.mutants is not None:
        return run_mutants(options, _plan(options, options.seconds))
    results = []
    what = what_runs(options.seed, options.threads, options.seconds)
    with Interrupts() as interrupts, view(len(names)) as shown:
        shown.begin(what, options.patience)
        for result in _run_each(options, names, interrupts, shown):
            results.append(result)
            shown.result(result, options.load)
        shown.end(foot(results, len(names)))
    write_files(options, results, len(names))
    if not all(result.passed for result in results):
        return 1
    return 130 if interrupts.asked else 0


def _run_each(
    options: argparse.Namespace, names: list[str], interrupts: Interrupts, shown: View
) -> Iterator[Result]:
    """Run one scenario after the other, each for an equal share of the time."""
    plan = _plan(options, options.seconds / len(names))
    for name in names:
        yield run_job(Job(name, plan, options.load), shown.progress, lambda: interrupts.asked)
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
    text = "shared out evenly among them, and their starts and ends are not counted; default: 60. "
    text += "For each mutant in each scenario; default: 10. "
    text += (
        "With --explore: of processor time, for each scenario; default: 20, and 100 with mutants"
    )
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
    text = "run the suites of the freezer's peers with the numbers that they name, and nothing else"
    add("--peers", nargs="*", metavar="WORD", help=f"{text}; only cases with all these words")
    text = "run every interleaving with few preemptions of these small scenarios, and nothing "
    text += "else; without names: each. With --mutants: the freezer broken, until that is found; "
    text += "without names: in the scenarios that are for it"
    add("--explore", nargs="*", metavar="NAME", help=text)
    text = "play random programs against a model, and make one that fails smaller; with --mutants: "
    text += "the freezer broken; with a program, as it was printed: that one alone"
    add(
        "--program",
        nargs="?",
        type=program_of,
        const=None,
        default=False,
        metavar="TEXT",
        help=text,
    )
    text = "with --explore: at most so many; default: what the scenario says, mostly 2"
    add("--preemptions", type=count, metavar="N", help=text)
    text = "with --explore: run this one again, as it was printed"
    add("--schedule", type=schedule_of, metavar="TEXT", help=text)
    text = "with --mutants or --explore: so many processes at a time; default: 2"
    add("--at-once", type=count, default=2, metavar="N", help=text)
    add("--json", type=Path, metavar="FILE", help="write everything there")
    text = "write a page there that shows the verdicts, and the worst freeze of each scenario"
    add("--html", type=Path, metavar="FILE", help=text)
    text = "write the timelines there, for ui.perfetto.dev or chrome://tracing"
    add("--trace", type=Path, metavar="FILE", help=text)
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
        left = [name for name in options.mutants if not MUTANTS[name].scenarios]
        if left and options.scenario is None:
            what = f"no scenario is for {', '.join(left)}"
            parser.error(f"{what}: add --explore, or name some after --scenario")
    return names


def _check_mutants_to_explore(parser: Parser, options: argparse.Namespace) -> None:
    if options.mutants is None:
        return
    if options.schedule is not None:
        parser.error("--schedule runs the freezer as it is: no --mutants")
    _refuse_unknown(parser, "mutant", options.mutants, MUTANTS)
    left = [name for name in options.mutants if not (options.explore or MUTANTS[name].explored)]
    if left:
        parser.error(f"no scenario is for {', '.join(left)}: name some after --explore")


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
