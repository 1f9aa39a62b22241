"""``python -m stress --explore``: the explorer's runs, some processes at a time, and their rows.

With ``--mutants`` the freezer is broken, and what is wrong has to be found.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from time import monotonic
from unittest.mock import patch

from stress._rows import interpreter
from stress.exploration._core import modelled
from stress.exploration._schedule import Schedule, parse
from stress.exploration._search import Explorer, Verdict
from stress.exploration.scenarios import SCENARIOS
from stress.mutants import FAMILIES, MUTANTS, Mutant

SECONDS = 20.0
"""Of processor time for each scenario, unless the command line says otherwise."""
PATIENCE = 100.0
"""For each mutant, likewise: all are found in a few, on an idle machine."""

COLUMNS = (
    f"{'scenario':<22}{'verdict':<15}{'schedules':>10}{'preemptions':>13}"
    f"{'steps':>10}{'seconds':>9}"
)
COLUMNS_OF_MUTANTS = (
    f"{'mutant':<32}{'verdict':<11}{'scenario':<22}{'schedules':>9}{'seconds':>9}  what"
)


def run_exploration(options: argparse.Namespace) -> int:
    """Explore `options.explore` (none: all), and return the exit status."""
    names = options.explore or list(SCENARIOS)
    if options.mutants is not None:
        return _find_mutants(options)
    if options.schedule is not None:
        verdicts = [replay(name, options.schedule) for name in names]
        for verdict in verdicts:
            print(_row(verdict), *_story(verdict), sep="\n")
    else:
        print(f"every schedule, {interpreter()}", COLUMNS, sep="\n\n", flush=True)
        verdicts = _explore_all(names, options)
    _write(options, [asdict(verdict) for verdict in verdicts])
    return 1 if any(verdict.finding for verdict in verdicts) else 0


def explore(name: str, preemptions: int | None, seconds: float) -> Verdict:
    """Explore one scenario, in this process. `preemptions` of None: as many as it says."""
    scenario = SCENARIOS[name]
    with modelled():
        bound = scenario.preemptions if preemptions is None else preemptions
        return Explorer(scenario).explore(bound, seconds)


def explore_broken(name: str, scenario: str, seconds: float) -> Verdict:
    """Explore one scenario with that mutant of the freezer, in this process, whose last use it is.

    Until something is found, with so many preemptions as the scenario says.
    """
    with modelled(*(str(family.__file__) for family in FAMILIES)), ExitStack() as stack:
        for family in FAMILIES:
            if hasattr(family, "sleep"):  # for storms, which cannot choose who comes next
                stack.enter_context(patch.object(family, "sleep", lambda seconds: None))
        MUTANTS[name].apply()
        verdict = Explorer(SCENARIOS[scenario]).explore(SCENARIOS[scenario].preemptions, seconds)
    logging.disable(logging.CRITICAL)  # whoever is left standing is thawed at the end
    return verdict


def replay(name: str, schedule: Schedule) -> Verdict:
    """Run one schedule of one scenario, in this process."""
    with modelled():
        return Explorer(SCENARIOS[name]).replay(schedule)


def schedule_of(text: str) -> Schedule:
    """For `argparse`."""
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _explore_all(names: list[str], options: argparse.Namespace) -> list[Verdict]:
    began = monotonic()
    how = options.preemptions, options.seconds or SECONDS
    verdicts = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.at_once, mp_context=context) as pool:
        futures = [pool.submit(explore, name, *how) for name in names]
        for future in futures:
            verdicts.append(verdict := future.result())
            print(_row(verdict), flush=True)
    for verdict in verdicts:
        print(*_story(verdict), sep="\n", end="")
    found = sum(bool(verdict.finding) for verdict in verdicts)
    left = sum(not (verdict.exhausted or verdict.finding) for verdict in verdicts)
    print(
        f"{len(verdicts)} scenarios, {found} with a finding, {left} not exhausted; "
        f"{sum(verdict.schedules for verdict in verdicts)} schedules, {monotonic() - began:.1f} s"
    )
    return verdicts


def _find_mutants(options: argparse.Namespace) -> int:
    """Explore each of `options.mutants` (none: all that a scenario is for) until it is found."""
    mutants = [MUTANTS[name] for name in options.mutants] or list(MUTANTS.values())
    mutants = [mutant for mutant in mutants if options.explore or mutant.explored]
    print(f"broken freezers, {interpreter()}", COLUMNS_OF_MUTANTS, sep="\n\n", flush=True)
    began = monotonic()
    verdicts = {}
    with ThreadPoolExecutor(options.at_once) as threads:
        searches = threads.map(lambda mutant: _find(mutant, options), mutants)
        for mutant, verdict in zip(mutants, searches, strict=True):
            verdicts[mutant.name] = verdict
            print(_row_of_mutant(mutant, verdict), flush=True)
    found = sum(bool(verdict.finding) for verdict in verdicts.values())
    print(f"{found} of {len(verdicts)} mutants found; {monotonic() - began:.1f} s")
    _write(options, {name: asdict(verdict) for name, verdict in verdicts.items()})
    return 0 if found == len(verdicts) else 1


def _find(mutant: Mutant, options: argparse.Namespace) -> Verdict:
    """In a process for each scenario: who hangs in a broken freezer ends with it."""
    seconds = options.seconds or PATIENCE
    for scenario in options.explore or [mutant.explored]:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            verdict = pool.submit(explore_broken, mutant.name, scenario, seconds).result()
        if verdict.finding:
            break
    return verdict


def _write(options: argparse.Namespace, verdicts: object) -> None:
    if options.json is not None:
        options.json.write_text(json.dumps({"verdicts": verdicts}, indent=1) + "\n")


def _row_of_mutant(mutant: Mutant, verdict: Verdict) -> str:
    what = "FOUND" if verdict.finding else "not found"
    return (
        f"{mutant.name:<32}{what:<11}{verdict.scenario:<22}{verdict.schedules:>9}"
        f"{verdict.seconds:>9.2f}  {verdict.finding}"
    ).rstrip()


def _row(verdict: Verdict) -> str:
    what = "FOUND" if verdict.finding else "passed" if verdict.exhausted else "not exhausted"
    misfits = f"  {verdict.misfits} did not fit" if verdict.misfits else ""
    bounds = f"{verdict.completed} of {verdict.preemptions}" if verdict.completed >= 0 else "none"
    return (
        f"{verdict.scenario:<22}{what:<15}{verdict.schedules:>10}{bounds:>13}"
        f"{verdict.steps:>10}{verdict.seconds:>9.2f}{misfits}"
    )


def _story(verdict: Verdict) -> list[str]:
    """What was found, how to see it again, and where everybody was."""
    if not verdict.finding:
        return []
    lines = ["", f"{verdict.scenario}: {SCENARIOS[verdict.scenario].promise}"]
    lines.append(f"  {verdict.finding}")
    if verdict.interrupted_at:
        lines.append(f"  interrupted in {verdict.interrupted_at}")
    lines.append(
        f"  again: python -m stress --explore {verdict.scenario} --schedule '{verdict.schedule}'"
    )
    for name, stack in verdict.stacks.items():
        lines.extend((f"  {name}:", stack.rstrip()))
    return [*lines, ""]
