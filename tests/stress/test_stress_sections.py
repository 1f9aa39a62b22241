"""Random functions with locks: what is seen is what they hold, and broken rules are noticed."""

from __future__ import annotations

import random

import pytest

from freezethreads._machine import sections
from freezethreads.testing import Plan
from machine import needs_monitoring
from stress._job import Job
from stress._launch import run_job
from stress.mutants import MUTANTS
from stress.scenarios import built_in
from stress.sections import Module

pytestmark = needs_monitoring

BROKEN = [mutant.name for mutant in MUTANTS.values() if "sections" in mutant.scenarios]
SEEDS = (8, 9, 1069, 1211, 1275, 5084)
"""Each rule matters in one of the first two modules; the others have shown faults."""


def test_there_is_a_mutant_for_each_rule() -> None:
    assert "sections" in built_in()
    assert len(BROKEN) == 6


def module_that_ran(seed: int) -> Module:
    module = Module(random.Random(seed))
    module.run()
    return module


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_seen_is_what_is_held(seed: int) -> None:
    module = module_that_ran(seed)
    assert module.asked
    assert not module.wrong, module.text


@pytest.mark.parametrize("mutant", BROKEN)
def test_where_a_rule_is_broken_it_is_not(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for owner in (sections._Reader, sections.Section):  # which it changes
        for name, value in vars(owner).items():
            if callable(value):
                monkeypatch.setattr(owner, name, value)
    monkeypatch.setattr(sections, "_known", {})
    MUTANTS[mutant].apply()
    assert any(module_that_ran(seed).wrong for seed in SEEDS)


@pytest.mark.timeout(120)
def test_the_scenario_notices() -> None:
    plan = Plan("seed", 90.0, patience=90.0)
    result = run_job(Job("sections", plan, mutant="way-out-forgotten"))
    assert not result.passed
    assert any(finding.what.startswith("Violation") for finding in result.findings)
