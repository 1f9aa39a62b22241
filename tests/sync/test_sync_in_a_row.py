"""Two exceptions, one as the other is handled: no lock stays taken, and no door stays shut."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import pytest

from freezethreads import Freezer, sync
from freezethreads._registry.record import here
from freezethreads.sync import _condition, _locks, _reentrant, _waitable
from injection import Boom
from interruptions import interrupting, pairs

SOON = 0.001
OURS = (_waitable, _locks, _reentrant, _condition)


beginnings_are_seen = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="its tracer is not told of a function's first instruction"
)


def functions() -> Iterator[FunctionType]:
    """All of these modules, also those of their classes and properties."""
    for module in OURS:
        classes = [one for one in vars(module).values() if isinstance(one, type)]
        for owner in (module, *classes):
            for value in vars(owner).values():
                found = value.fget if isinstance(value, property) else value
                if (
                    isinstance(found, FunctionType)
                    and found.__code__.co_filename == module.__file__
                ):
                    yield found


def interrupt(act: Callable[[], object], check: Callable[[object], object]) -> None:
    """Do it with every two exceptions that are near each other, and check after each time."""
    with interrupting(*functions()), Freezer().register():
        both = 0
        for interruptions in pairs():
            try:
                with interruptions:
                    act()
            except Boom:
                pass
            both += len(interruptions.hits) == 2
            check(interruptions.hits)
            assert here.parking.shut == 0, f"doors are shut after {interruptions.hits}"
            assert here.parking.away is None, f"it counts as away after {interruptions.hits}"
        assert both > 1


@beginnings_are_seen
@pytest.mark.parametrize("make", [sync.Lock, sync.RLock])
def test_no_lock_stays_taken(make: Callable[[], Any]) -> None:
    lock = make()

    def enter() -> None:
        with lock:
            pass

    def check(hits: object) -> None:
        assert not lock.locked(), hits

    interrupt(enter, check)


@beginnings_are_seen
@pytest.mark.parametrize("make", [sync.Lock, sync.RLock])
def test_a_lock_that_is_released_by_hand_is_free(make: Callable[[], Any]) -> None:
    lock = make()

    def check(hits: object) -> None:
        assert not lock.locked(), hits
        lock.acquire()

    lock.acquire()
    interrupt(lock.release, check)
    lock.release()


@pytest.mark.parametrize("make", [sync.Event, lambda: sync.Semaphore(0)])
def test_no_latch_stays_taken_by_who_waits(make: Callable[[], Any]) -> None:
    waited_for = make()
    wait = waited_for.wait if isinstance(waited_for, sync.Event) else waited_for.acquire

    def check(hits: object) -> None:
        condition = waited_for._cond
        assert not condition._lock.locked(), hits
        assert not condition._waiters, hits

    interrupt(lambda: wait(timeout=SOON), check)


@pytest.mark.parametrize("make", [sync.Lock, sync.RLock])
def test_who_waits_for_a_condition_has_its_lock_afterwards(make: Callable[[], Any]) -> None:
    condition: Any = sync.Condition(make())

    def check(hits: object) -> None:
        assert condition._lock.owner == threading.get_ident(), hits
        assert not condition._waiters, hits

    with condition:
        interrupt(lambda: condition.wait(SOON), check)
