"""What a diagnosis says of threads that stop, and that have waited long in one place."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from freezethreads import Freezer
from freezethreads._explain import _waits, diagnose, render_diagnosis
from freezethreads._ground.jsonable import from_json, to_json
from freezethreads._report.reports import Diagnosis
from freezing import actor, looping, puppets
from helpers import WAIT, start, wait_for, wait_until
from machine import needs_monitoring


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


@needs_monitoring
def test_who_has_not_run_for_a_while_is_listed_where_waits_are_not_known(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing tells a hang from an idle thread there, but it is not simply healthy."""
    monkeypatch.setattr(_waits, "_BETWEEN", 0.1)
    over, ends, inside = threading.Event(), threading.Event(), threading.Event()

    def beat() -> None:
        while not over.is_set():
            time.sleep(0.001)

    def hang() -> None:
        inside.set()
        ends.wait()  # here

    threads = [start(beat, name="beat"), start(hang, name="hangs")]
    wait_for(inside)
    seen: list[Diagnosis] = []

    def is_seen() -> bool:  # it may be on its way there
        seen.append(diagnose(freezer, WAIT, partial(freezer.hold, where="anywhere")))
        return any("hangs" in wait.threads for wait in seen[-1].waits)

    wait_until(is_seen)
    diagnosis = seen[-1]
    safe = diagnose(freezer, WAIT)
    over.set()
    ends.set()
    for thread in threads:
        thread.finish()
    assert diagnosis.healthy
    names = {name: wait for wait in diagnosis.waits for name in wait.threads}
    assert "beat" not in names
    wait = names["hangs"]
    assert wait.site.kind == "call"
    assert wait.site.filename == __file__
    assert wait.site.function.endswith("hang")
    assert wait.seconds >= 0.1
    text = render_diagnosis(diagnosis)
    assert "healthy, for all that can be told; " in text
    assert "Waits, since when nobody knows, which may be as they should be:" in text
    assert from_json(Diagnosis, to_json(diagnosis)) == diagnosis
    assert safe.waits == (), "a freeze at safepoints says nothing of who is not registered"
    assert "for all that can be told" not in render_diagnosis(safe).partition("\n")[0]
