"""Waits close to the recursion limit: a RecursionError at any depth leaves all in order.

The subject recurses until so many calls are left, and makes its call there. It may raise
RecursionError; it may not hang, or leave a lock held, or somebody among those who wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from depths import depths, low_limit
from freezethreads import Freezer, sync
from helpers import WAIT, start


@pytest.fixture(autouse=True)
def _low_limit() -> Iterator[None]:
    with low_limit():
        yield


def in_thread(act: Callable[[], object], check: Callable[[], object]) -> None:
    """In an enrolled thread whose stack is its own."""

    def work() -> set[bool]:
        with Freezer("depth").register():
            return depths(act, check)

    assert start(work).finish(WAIT) == {True, False}


@pytest.mark.parametrize("make", [sync.Lock, sync.RLock])
def test_a_lock_that_somebody_has(make: Callable[[], Any]) -> None:
    lock = make()
    start(lock.acquire).finish()

    def check() -> None:
        assert not [*filter(None, lock._waiters)]

    in_thread(lambda: lock.acquire(timeout=0.0001), check)


@pytest.mark.parametrize("make", [sync.Lock, sync.RLock])
def test_a_lock_that_is_free(make: Callable[[], Any]) -> None:
    lock = make()

    def use() -> None:
        with lock:
            pass

    in_thread(use, lambda: start(lock_and_release, lock).finish())


def lock_and_release(lock: Any) -> None:
    """What can be done if nobody has it."""
    assert lock.acquire(timeout=WAIT)
    lock.release()


@pytest.mark.parametrize("make", [sync.Lock, sync.RLock])
def test_a_release_that_wakes_somebody(make: Callable[[], Any]) -> None:
    """It needs more calls than the lock needed to be acquired."""
    lock = make()
    taken = threading.Event()
    finished: list[object] = []

    def use() -> None:
        with lock:
            waiter.append(start(lock_and_release, lock))
            while not [*filter(None, list(lock._waiters))]:
                taken.wait(0.0001)

    def check() -> None:
        for each in waiter:
            finished.append(each.finish())
        waiter.clear()

    waiter: list[Any] = []
    in_thread(use, check)
    assert finished


@pytest.mark.parametrize("make", [sync.RLock, sync.Lock, threading.RLock, threading.Lock])
def test_a_condition(make: Callable[[], Any]) -> None:
    condition: Any = sync.Condition(make())

    def use() -> None:
        with condition:
            condition.wait(0.0001)

    def check() -> None:
        assert not condition._waiters
        start(lock_and_release, condition).finish()

    in_thread(use, check)


def test_the_others() -> None:
    event, semaphore, items = sync.Event(), sync.Semaphore(0), sync.SimpleQueue[int]()
    all_of_them: tuple[Any, ...] = (event, semaphore)

    def check() -> None:
        assert not items._waiters
        for each in all_of_them:
            assert not each._cond._waiters
            assert not each._cond._lock.locked()

    in_thread(lambda: event.wait(0.0001), check)
    in_thread(lambda: semaphore.acquire(timeout=0.0001), check)
    in_thread(lambda: sync.sleep(0.0001), check)
