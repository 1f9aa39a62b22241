"""The second engine under torture, and without each of its rules."""

from __future__ import annotations

import pytest

from freezethreads.testing import Plan, Result
from helpers import HAS_GIL
from machine import needs_monitoring
from stress._job import Job
from stress._launch import run_job
from stress.mutants import MUTANTS
from stress.scenarios import built_in

pytestmark = needs_monitoring

# The second needs luck: tests/machine/test_handed.py makes sure of it.
ELSEWHERE = {"lock-not-given-back", "looked-once"}
BROKEN = [mutant.name for mutant in MUTANTS.values() if "engine" in mutant.scenarios]


def run(
    seconds: float, mutant: str | None = None, scenario: str = "engine", patience: float = 20.0
) -> Result:
    plan = Plan("seed", seconds, threads=4, freeze_timeout=5.0, patience=patience)
    return run_job(Job(scenario, plan, mutant=mutant))


def test_there_is_a_mutant_for_each_rule() -> None:
    assert {"engine", "works"} <= set(built_in())
    assert len(BROKEN) == (8 if HAS_GIL else 7)


@pytest.mark.parametrize("scenario", ["engine", "works"])
def test_all_holds(scenario: str) -> None:
    result = run(4.0, scenario=scenario)
    assert result.passed, str(result)
    assert result.checks


@pytest.mark.timeout(150)
@pytest.mark.parametrize("mutant", [name for name in BROKEN if name not in ELSEWHERE])
def test_what_breaks_a_rule_is_noticed(mutant: str) -> None:
    result = run(100.0, mutant)  # a few, but for a busy machine without a GIL
    assert not result.passed
    assert any(finding.what.startswith("Violation") for finding in result.findings)


@pytest.mark.timeout(150)
def test_a_witness_that_moves_is_noticed() -> None:
    result = run(100.0, "way-back-not-barred", "works")
    assert any("receive-7'] moved" in finding.what for finding in result.findings)


def test_who_would_wait_for_a_condition_is_waited_for_in_vain() -> None:
    """So the freeze fails; or nobody comes to the end of the work in the meantime."""
    assert not run(40.0, "lock-not-given-back", patience=4.0).passed
