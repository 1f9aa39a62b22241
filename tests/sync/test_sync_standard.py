"""The standard library's own tests of locks and queues pass against ours, frozen or not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import sync_standard
from helpers import HAS_GIL, ROOT
from sync_standard import lock_tests, test_queue

PROGRAM = Path(sync_standard.__file__)

# They sleep most of the time. Without a GIL the many threads of some take all processors, however.
AT_ONCE = len(sync_standard.MODES) if HAS_GIL else 1

pytestmark = pytest.mark.timeout(300)  # the first test has them all run


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Any]:
    """What came of the runs."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(sync_standard.MODES, pool.map(run_all, sync_standard.MODES), strict=True))


def run_all(mode: str) -> Any:
    path = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
    run = subprocess.run(
        [sys.executable, str(PROGRAM), mode],
        capture_output=True,
        text=True,
        # They count the system's threads, and find one that we have begun meanwhile.
        env={**os.environ, "PYTHONPATH": path, "FREEZETHREADS_LOOKOUT": "0"},
        check=False,
    )
    assert run.returncode == 0, f"{mode}: status {run.returncode}\n{run.stderr}"
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("mode", sync_standard.MODES)
def test_they_pass(outcomes: dict[str, Any], mode: str) -> None:
    texts = [f"{name}\n{text}" for name, text in outcomes[mode]["failed"]]
    assert not texts, "\n".join(texts)


@pytest.mark.parametrize("mode", sync_standard.MODES)
def test_none_is_skipped_or_forgotten(outcomes: dict[str, Any], mode: str) -> None:
    there = sum(len(list(names_of(case))) for case in sync_standard.CASES.values())
    assert outcomes[mode]["skipped"] == []
    assert outcomes[mode]["ran"] == there > 120


def test_the_storm_froze_them(outcomes: dict[str, Any]) -> None:
    """In each freeze several threads stood, most of them in a wait of what is tested."""
    storm = outcomes["frozen"]
    assert storm["freezes"] >= 1000
    assert storm["gave_up"] <= storm["freezes"] / 20
    assert storm["stood"]["wait"] >= 2 * storm["freezes"]


@pytest.mark.parametrize("module", [lock_tests, test_queue], ids=["lock_tests", "test_queue"])
def test_every_class_of_theirs_is_used(module: ModuleType) -> None:
    """A class that has tests is among ours, or another with the same tests is."""
    ours = {test for case in sync_standard.CASES.values() for test in functions_of(case)}
    for found in vars(module).values():
        if isinstance(found, type):
            missing = functions_of(found) - ours - excluded()
            assert not missing, f"{found.__name__}: {missing}"


def test_every_exclusion_names_a_test_of_theirs() -> None:
    for case, name in sync_standard.EXCLUDED:
        bases = sync_standard.CASES[case].__mro__[1:]
        assert any(name in vars(base) for base in bases), (case, name)


def names_of(case: type) -> Iterator[str]:
    """The names of a case's tests, in all its bases, but those that are excluded."""
    return (name for name in dir(case) if name.startswith("test") and getattr(case, name))


def functions_of(case: type) -> set[Any]:
    """The functions behind them, so that equal names in two classes are told apart."""
    return {getattr(case, name) for name in names_of(case)}


def excluded() -> set[Any]:
    """The functions that are left out."""
    return {
        getattr(base, name)
        for case, name in sync_standard.EXCLUDED
        for base in sync_standard.CASES[case].__mro__[1:]
        if hasattr(base, name)
    }
