"""``python -m stress --mutants``: whether the scenarios notice a freezer that breaks a rule.

Each mutant is tortured in its scenarios until one has noticed. Then each of these scenarios (all
that there are, if nothing was chosen) is run once more with the freezer as it is, by the same plan
and for a little longer than the slowest catch took: one that fails then has caught nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

from freezethreads.testing import Finding, Plan, Result
from stress._job import Job
from stress._launch import Interrupts, run_job
from stress._rows import interpreter, verdict
from stress.attack._calls import available
from stress.mutants import MUTANTS, Mutant
from stress.scenarios import built_in

LEAST, MOST = 1.0, 5.0
"""Seconds that a scenario has to pass for with the freezer as it is."""
MARGIN = 0.5
"""Seconds that it gets more than the slowest catch took."""
SLOW = ("exits", "stores")
"""Scenarios that begin whole programs, one after the other, and so get longer times."""
TRACED = ("stores",)
"""Those of the mutants that need strace to be noticed."""
STRETCH = 3
"""Times as long."""
WIDTH = 110
"""Letters of a finding that a row shows."""
SLIPS = ("AttributeError", "ImportError", "NameError", "TypeError", "UnboundLocalError")
"""What a mutant raises that is older than the freezer: it breaks itself, and no rule."""

HOW_TO_READ = """\
Each row is a freezer that breaks one rule, tortured until a scenario has noticed, after how many
seconds and by which check. The last rows are the same scenarios with the freezer as it is."""

COLUMNS = f"{'mutant':<32}{'verdict':<17}{'scenario':<16}{'after':>8}  noticed by"


@dataclass(frozen=True)
class Catch:
    """What has become of one mutant. ``result`` is that of the scenario tried last."""

    mutant: Mutant
    result: Result
    seconds: float
    """From the first process's start to the last one's end."""

    @property
    def finding(self) -> Finding | None:
        """What the scenario has noticed first."""
        return self.result.findings[0] if self.result.findings else None

    @property
    def verdict(self) -> str:
        """``caught``, ``SURVIVED``, or ``BROKEN`` if the mutant itself cannot work."""
        finding = self.finding
        if finding is None:
            return "interrupted" if self.result.interrupted else "SURVIVED"
        slipped = finding.what.startswith(tuple(f"{name}: " for name in SLIPS))
        return "BROKEN" if slipped or not self.result.began else "caught"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        finding = self.finding
        return {
            "name": self.mutant.name,
            "rule": self.mutant.rule,
            "verdict": self.verdict,
            "scenario": self.result.scenario,
            "finding": None if finding is None else asdict(finding),
            "seconds": self.seconds,
            "result": self.result.as_dict(),
        }

    def __str__(self) -> str:
        return _row(self.mutant.name, self.verdict, self.result)


def run_mutants(options: argparse.Namespace, plan: Plan) -> int:
    """Have `options.mutants` (none: all) tortured, each for ``plan.seconds`` in each scenario.

    Returns the exit status.
    """
    chosen = choose(options.mutants, options.scenario)
    head = f"seed {options.seed}, {options.threads} threads, {interpreter()}"
    print(head, HOW_TO_READ, sep="\n\n")
    if not available() and (traced := [one for one in chosen if one.scenarios == TRACED]):
        chosen = [one for one in chosen if one not in traced]
        print(f"\nNot tried without strace: {', '.join(one.name for one in traced)}.")
    print("", COLUMNS, sep="\n", flush=True)
    began = monotonic()
    with Interrupts() as interrupts, ThreadPoolExecutor(options.at_once) as pool:

        def torture(scenario: str, mutant: str | None, plan: Plan) -> Result:
            if interrupts.asked:
                interval = plan.interval_of(scenario)
                return Result(scenario, plan.seed, plan.threads, interval, interrupted=True)
            return run_job(Job(scenario, plan, mutant=mutant), is_over=lambda: interrupts.asked)

        def catch(mutant: Mutant) -> Catch:
            return _catch(mutant, lambda name: torture(name, mutant.name, _fit(plan, name)))

        def control(scenario: str) -> Result:
            seconds = _long_enough(scenario, catches)
            return torture(scenario, None, replace(_fit(plan, scenario), seconds=seconds))

        catches = list(_shown(pool.map(catch, chosen)))
        scenarios = [name for name in built_in() if name in _to_control(options, catches)]
        controls = list(pool.map(control, scenarios))
    for result in controls:
        print(_row("(the freezer as it is)", verdict(result), result))
    print(_foot(catches, controls, monotonic() - began))
    _write(options, catches, controls)
    if any(catch.verdict not in ("caught", "interrupted") for catch in catches):
        return 1
    if not all(result.passed for result in controls):
        return 1
    return 130 if interrupts.asked else 0


def choose(names: list[str], scenarios: list[str] | None) -> list[Mutant]:
    """The mutants of these names, tried in these scenarios (None: each in its own).

    Without names, all that one of the scenarios is for. For some there is none: those that the
    explorer alone finds.
    """
    tortured = [mutant for mutant in MUTANTS.values() if mutant.scenarios]
    mutants = [MUTANTS[name] for name in names] or tortured
    if scenarios is None:
        return mutants
    if not names:
        mutants = [mutant for mutant in mutants if set(mutant.scenarios) & set(scenarios)]
    return [replace(mutant, scenarios=tuple(scenarios)) for mutant in mutants]


def _catch(mutant: Mutant, torture: Callable[[str], Result]) -> Catch:
    began = monotonic()
    for scenario in mutant.scenarios:
        result = torture(scenario)
        if not result.passed or result.interrupted:
            break
    return Catch(mutant, result, monotonic() - began)


def _to_control(options: argparse.Namespace, catches: list[Catch]) -> Iterable[str]:
    if not options.mutants and options.scenario is None:
        return built_in()
    return {catch.result.scenario for catch in catches if catch.finding}


def _fit(plan: Plan, scenario: str) -> Plan:
    if scenario not in SLOW:
        return plan
    times = (plan.seconds, plan.freeze_timeout, plan.patience)
    seconds, freeze_timeout, patience = (time * STRETCH for time in times)
    return replace(plan, seconds=seconds, freeze_timeout=freeze_timeout, patience=patience)


def _long_enough(scenario: str, catches: list[Catch]) -> float:
    """Seconds within which the scenario has noticed all that it has noticed."""
    findings = [catch.finding for catch in catches if catch.result.scenario == scenario]
    return min(MOST, max([LEAST, *(finding.at + MARGIN for finding in findings if finding)]))


def _shown(catches: Iterator[Catch]) -> Iterator[Catch]:
    for catch in catches:
        print(catch, flush=True)
        yield catch


def _row(name: str, verdict: str, result: Result) -> str:
    finding = result.findings[0] if result.findings else None
    seconds = result.seconds if finding is None else finding.at
    noticed = "" if finding is None else f"{finding.who}: {finding.what}"
    if len(noticed) > WIDTH:
        noticed = noticed[: WIDTH - 3] + "..."
    return f"{name:<32}{verdict:<17}{result.scenario:<16}{seconds:>6.2f} s  {noticed}".rstrip()


def _foot(catches: list[Catch], controls: list[Result], seconds: float) -> str:
    lines = []
    for catch in catches:
        if catch.verdict not in ("caught", "interrupted"):
            lines.append(f"{catch.verdict}: {catch.mutant.name} ({catch.mutant.rule})")
            lines.append(str(catch.result))
    for result in controls:
        if not result.passed:
            lines.append(f"FAILED with the freezer as it is: {result.scenario}")
            lines.append(str(result))
    caught = sum(catch.verdict == "caught" for catch in catches)
    passed = sum(result.passed and not result.interrupted for result in controls)
    lines.append(
        f"{caught} of {len(catches)} mutants caught; with the freezer as it is {passed} of "
        f"{len(controls)} scenarios passed; {seconds:.1f} s"
    )
    return "\n".join(lines)


def _write(options: argparse.Namespace, catches: list[Catch], controls: list[Result]) -> None:
    if options.json is not None:
        content = {
            "seed": options.seed,
            "mutants": [catch.as_dict() for catch in catches],
            "results": [result.as_dict() for result in controls],
        }
        Path(options.json).write_text(json.dumps(content, indent=1) + "\n")
