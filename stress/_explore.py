"""``python -m stress --explore``: the explorer's runs, two processes at a time, and their rows."""

from __future__ import annotations

import argparse
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from time import monotonic

from stress._rows import interpreter
from stress.exploration._core import modelled
from stress.exploration._schedule import Schedule, parse
from stress.exploration._search import Explorer, Verdict
from stress.exploration.scenarios import SCENARIOS

AT_ONCE = 2
"""Processes at a time."""
SECONDS = 20.0
"""For each scenario, unless the command line says otherwise."""

COLUMNS = (
    f"{'scenario':<22}{'verdict':<15}{'schedules':>10}{'preemptions':>13}"
    f"{'steps':>10}{'seconds':>9}"
)


def run_exploration(options: argparse.Namespace) -> int:
    """Explore `options.explore` (none: all), and return the exit status."""
    names = options.explore or list(SCENARIOS)
    if options.schedule is not None:
        verdicts = [replay(name, options.schedule) for name in names]
        for verdict in verdicts:
            print(_row(verdict), *_story(verdict), sep="\n")
    else:
        print(f"every schedule, {interpreter()}", COLUMNS, sep="\n\n", flush=True)
        verdicts = _explore_all(names, options.preemptions, options.seconds or SECONDS)
    if options.json is not None:
        content = {"verdicts": [asdict(verdict) for verdict in verdicts]}
        Path(options.json).write_text(json.dumps(content, indent=1) + "\n")
    return 1 if any(verdict.finding for verdict in verdicts) else 0


def explore(name: str, preemptions: int | None, seconds: float) -> Verdict:
    """Explore one scenario, in this process. `preemptions` of None: as many as it says."""
    scenario = SCENARIOS[name]
    with modelled():
        bound = scenario.preemptions if preemptions is None else preemptions
        return Explorer(scenario).explore(bound, seconds)


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


def _explore_all(names: list[str], preemptions: int | None, seconds: float) -> list[Verdict]:
    began = monotonic()
    verdicts = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(AT_ONCE, mp_context=context) as pool:
        futures = [pool.submit(explore, name, preemptions, seconds) for name in names]
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
