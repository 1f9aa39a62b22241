"""What a diagnosis says of threads that stop, and that have waited long in one place."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from freezethreads import Freezer
from freezethreads._explain import _waits, diagnose, render_diagnosis
from freezethreads._ground.jsonable import from_json, to_json
from freezethreads._report.reports import Diagnosis
from freezing import actor, looping, puppets
from helpers import WAIT


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any wait is a long one."""
    monkeypatch.setattr(_waits, "_LONG", 0.0)


@pytest.fixture
def freezer() -> Freezer:
    return Freezer()


@pytest.fixture
def waiting(freezer: Freezer) -> Iterator[list[str]]:
    """Five threads that wait, four at one site, and one that does not."""
    over = threading.Event()
    with ExitStack() as stack:
        threads = stack.enter_context(puppets(freezer, *[""] * 5))
        stack.enter_context(looping(freezer, 1))
        stack.callback(over.set)
        for number, thread in enumerate(threads):
            thread.worker.name = thread.registration._record.name = f"waiter-{number}"
            thread.block(over, "last" if number == 4 else "poll")
        yield [thread.worker.name for thread in threads]


@pytest.mark.usefixtures("at_once")
def test_long_waits_are_listed_and_are_no_fault(freezer: Freezer, waiting: list[str]) -> None:
    diagnosis = diagnose(freezer, WAIT)
    assert diagnosis.healthy
    first, second = diagnosis.waits
    assert (first.threads, first.site.label) == (tuple(waiting[:4]), "poll")
    assert (second.threads, second.site.label) == (("waiter-4",), "last")
    assert first.seconds > second.seconds > 0
    assert from_json(Diagnosis, to_json(diagnosis)) == diagnosis
    text = render_diagnosis(diagnosis)
    head, *lines = text.partition("\n\nLong waits")[2].splitlines()
    assert head == ", which may be as they should be:"
    assert len(lines) == 2
    assert lines[0].startswith("  waiter-0, waiter-1, waiter-2 and 1 more: at blocking 'poll' (")
    assert "), the longest for " in lines[0]
    assert lines[1].startswith("  waiter-4: at blocking 'last' (")
    assert ") for " in lines[1]


@pytest.mark.usefixtures("waiting")
def test_short_waits_are_not(freezer: Freezer) -> None:
    diagnosis = diagnose(freezer, WAIT)
    assert diagnosis.waits == ()
    assert "Long waits" not in render_diagnosis(diagnosis)


@pytest.mark.usefixtures("at_once", "waiting")
def test_nor_are_those_that_somebody_else_has_stopped(freezer: Freezer) -> None:
    with actor() as controller:
        hold = controller.do(freezer.hold, timeout=WAIT)
        assert diagnose(freezer, WAIT).waits == ()
        controller.do(hold.thaw)
    assert len(diagnose(freezer, WAIT).waits) == 2


@pytest.mark.usefixtures("at_once", "waiting")
def test_nor_is_what_a_thread_does_that_is_late(freezer: Freezer) -> None:
    """The others are, also where not all stop."""
    with puppets(freezer, "late") as (late,):
        diagnosis = diagnose(freezer, 0.1)
        assert [finding.thread for finding in diagnosis.findings] == [late.worker.name]
    assert len(diagnosis.waits) == 2
