"""Random functions with locks: what is seen is what they hold, and broken rules are noticed."""

from __future__ import annotations

import random

import pytest

from freezethreads.testing import Plan
from machine import needs_monitoring
from stress._job import Job
from stress._launch import run_job
from stress.mutants import MUTANTS
from stress.scenarios import built_in

pytestmark = needs_monitoring

BROKEN = [mutant.name for mutant in MUTANTS.values() if "sections" in mutant.scenarios]


def test_there_is_a_mutant_for_each_rule() -> None:
    assert "sections" in built_in()
    assert len(BROKEN) == 6


@pytest.mark.parametrize("seed", range(6))
def test_what_is_seen_is_what_is_held(seed: int) -> None:
    from stress.sections import Module

    module = Module(random.Random(seed))
    module.run()
    assert module.asked > 100
    assert not module.wrong, module.text


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mutant", BROKEN)
def test_what_breaks_a_rule_is_noticed(mutant: str) -> None:
    result = run_job(Job("sections", Plan("seed", 90.0, patience=90.0), mutant=mutant))
    assert not result.passed
    assert any(finding.what.startswith("Violation") for finding in result.findings)
