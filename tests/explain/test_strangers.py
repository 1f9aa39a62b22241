"""Warnings about threads that `threading` does not know, and that no freeze waits for."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import pytest

from foreign import Foreign, foreign
from freezethreads import Freezer
from freezethreads._explain import diagnose, render_diagnosis
from freezethreads._ground import foreign as foreign_module
from freezethreads._report.reports import Finding
from helpers import HAS_GIL, WAIT, wait_until

TOLD = HAS_GIL and sys.platform.startswith("linux")
told = pytest.mark.skipif(not TOLD, reason="nobody can tell who has had a processor")


def warnings_about(one: Foreign) -> list[Finding]:
    diagnosis = diagnose(Freezer(), WAIT)
    assert diagnosis.healthy
    return [warning for warning in diagnosis.warnings if warning.ident == one.ident]


@told
def test_one_that_sleeps_and_works_in_turn_is_seen_to_move() -> None:
    """Each look may find it asleep at the same line: its clock tells."""
    with foreign("by C", body=lambda: time.sleep(0.0001)) as one:
        (warning,) = warnings_about(one)
    assert (warning.cause, warning.thread) == ("unregistered", f"thread {one.ident}")
    assert warning.native_id == one.native_id
    assert "and went on while all others stood" in warning.why


@told
def test_one_that_merely_waits_is_not_worth_a_warning() -> None:
    with foreign() as one:
        wait_until(lambda: not warnings_about(one))  # it may be on its way there
        diagnosis = diagnose(Freezer(), WAIT)
    assert f"thread {one.ident}" in diagnosis.unregistered  # it is counted all the same


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ((), "healthy. "),
        (("a",), "  1 thread is not registered with freezer 'a', nor waited for: a"),
        (
            tuple("abcd"),
            "  4 threads are not registered with freezer 'a', nor waited for: a, b, c an",
        ),
    ],
)
def test_those_that_are_not_registered_have_one_line(names: tuple[str, ...], line: str) -> None:
    diagnosis = replace(diagnose(Freezer("a"), WAIT), warnings=(), unregistered=names)
    assert line in render_diagnosis(diagnosis).splitlines()[-1]


def test_of_one_that_nobody_can_tell_of_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits, and has no number by which its clock could be found."""
    monkeypatch.setattr(foreign_module, "native_ids", dict)
    with foreign() as one:
        wait_until(lambda: "may have" in warnings_about(one)[0].why)
        (warning,) = warnings_about(one)
    assert warning.native_id is None
    assert "and may have gone on, for all that can be told, while all others" in warning.why
