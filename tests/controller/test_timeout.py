"""What a controller is told whose time ran out."""

from __future__ import annotations

import threading

import pytest

import freezethreads
from freezethreads import Freezer, FreezeTimeout
from freezing import puppets
from helpers import WAIT, start, wait_for, wait_until
from machine import Blocked, computing_with, needs_monitoring


@needs_monitoring
def test_those_who_only_wait_are_told_of_after_one_that_runs() -> None:
    """As long as somebody runs no look tells where they are. It takes a line, and not one each."""
    blocked = [Blocked() for _ in range(7)]
    with computing_with(threading.Lock()), pytest.raises(FreezeTimeout) as caught:
        freezethreads.freeze(where="unlocked", timeout=0.2)
    for each in blocked:
        each.finish()
    first, *others = caught.value.stragglers
    assert first.name == "computes"
    assert len(others) == 7
    _, first_line, rest, *_ = str(caught.value).splitlines()
    assert first_line.startswith("  computes (")
    names = ", ".join(one.name for one in others[:5])
    expected = f"  7 wait in calls, in which they stop once the others do: {names}, and 2 more"
    assert rest == expected
    assert "safepoint" not in str(caught.value)


@needs_monitoring
def test_who_waits_where_nobody_is_stopped_is_to_blame() -> None:
    freezer, over = Freezer(), threading.Event()
    blocked = [Blocked() for _ in range(2)]

    def keep_going() -> None:
        with freezer.no_freeze():
            over.wait(WAIT)

    with puppets(freezer, "") as (keeper,):
        keeping = keeper.tell(keep_going)
        wait_until(lambda: keeper.record.shut > 0)
        with computing_with(threading.Lock()), pytest.raises(FreezeTimeout) as caught:
            freezer.freeze(where="unlocked", timeout=0.2)
        over.set()
        keeping.result(WAIT)
    for each in blocked:
        each.finish()
    blamed = [one.name for one in caught.value.stragglers[:-2]]
    assert sorted(blamed) == ["computes", keeper.worker.name]
    assert "\n  2 wait in calls, in which they stop once the others do: " in str(caught.value)


@needs_monitoring
def test_the_lock_is_named_and_not_the_shared_code_that_is_called_with_it() -> None:
    lock, ready, over = threading.Lock(), threading.Event(), threading.Event()

    def hold_it() -> None:
        with lock:
            ready.set()
            while not over.is_set():
                pass

    worker = start(hold_it)
    wait_for(ready)
    told = []
    for _ in range(4):  # it is in there when the freeze begins, or is not
        with pytest.raises(FreezeTimeout) as caught:
            freezethreads.freeze(where="unlocked", timeout=0.4)
        told.append("it is in a section of lock, at " in str(caught.value))
    over.set()
    worker.finish()
    assert all(told)
