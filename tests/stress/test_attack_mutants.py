"""A store or a socket that breaks a rule is found by what attacks it."""

from __future__ import annotations

import pytest

from freezethreads.testing import Plan
from stress._job import Job
from stress._launch import run_job
from stress.attack._calls import available

needs_strace = pytest.mark.skipif(not available(), reason="needs strace")


def what_is_found(scenario: str, mutant: str) -> str:
    plan = Plan("seed", 60.0, threads=4, freeze_timeout=5.0, patience=20.0)
    result = run_job(Job(scenario, plan, mutant=mutant))
    return "\n".join(finding.what for finding in result.findings)


@needs_strace
@pytest.mark.parametrize(
    ("mutant", "found"),
    [
        ("renamed-too-early", "after a power failure"),
        ("journal-comes-back", "after a power failure"),
        ("files-left-open", "something was left open"),
    ],
)
def test_a_store_that_breaks_a_rule_is_noticed(mutant: str, found: str) -> None:
    assert found in what_is_found("stores", mutant)


@pytest.mark.parametrize("mutant", ["arguments-believed", "answers-believed"])
def test_a_socket_that_believes_is_noticed(mutant: str) -> None:
    found = what_is_found("socket", mutant)
    assert "was answered" in found or "being told" in found
