"""A condition over a lock of the standard library's, which is handed over in C."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

import pytest

from freezethreads import Freezer, sync
from freezing import puppet
from helpers import WAIT, wait_until
from sync_clock import begin, outcome


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("foreign")


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock])
def test_a_raw_lock_that_a_frozen_thread_gets_is_given_back(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any]
) -> None:
    """1. The thread was notified, and waits in C for the lock, which the test has.
    2. It is frozen, and then the lock is released: C gives it to the thread.
    """
    raw = make()
    condition: Any = sync.Condition(raw)

    def wait() -> tuple[bool, bool]:
        with condition:
            return condition.wait(), condition._is_owned()

    with puppet(freezer) as thread:
        future = begin(monkeypatch, thread, wait)
        with condition:
            condition.notify()
            wait_until(lambda: thread.record.place is not None and thread.record.place[1] == "lock")
            world = freezer.freeze(timeout=WAIT)
        with world:
            assert raw.acquire(timeout=WAIT), "a frozen thread keeps it"
            raw.release()
            (info,) = world.threads
            assert info.site is not None
            assert info.site.label == "lock"
            assert not future.done()
        assert outcome(future) == (True, True)
        assert raw.acquire(timeout=WAIT)
        raw.release()


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock])
def test_who_is_interrupted_while_it_stands_leaves_the_wait_with_the_lock(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any]
) -> None:
    """1. The thread is notified; it stands frozen, and has given the lock back to the test.
    2. It is interrupted there, and thawed. Its `with` block would release what the test has.
    """
    raw = make()
    condition: Any = sync.Condition(raw)

    def wait() -> None:
        with condition:
            condition.wait()

    def stands_for_the_lock() -> bool:
        place = thread.record.place
        return place is not None and place[1] == "lock"

    with puppet(freezer) as thread:
        future = begin(monkeypatch, thread, wait)
        with condition:
            condition.notify()
            wait_until(stands_for_the_lock)
            hold = freezer.hold(timeout=WAIT)
        wait_until(lambda: thread.record.parking.word.value.stay is not None)
        assert raw.acquire(timeout=WAIT)
        interrupt(thread.worker.ident)
        hold.thaw()
        wait_until(lambda: thread.record.parking.word.value.stay is None)
        wait_until(lambda: stands_for_the_lock() or future.done())
        raw.release()
        assert isinstance(future.exception(WAIT), ZeroDivisionError)
        assert raw.acquire(timeout=WAIT)
        raw.release()


def interrupt(ident: int | None) -> None:
    """Raise an exception in that thread."""
    assert ident is not None
    error = ctypes.py_object(ZeroDivisionError)
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), error) == 1
