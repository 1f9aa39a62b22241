"""A thread that was given a lock in C, and waits for the GIL to say so, owns the lock."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from freezethreads import Freezer
from freezethreads._machine import bar
from freezethreads._machine.bar import Bar
from freezethreads._machine.stacks import may_own
from freezethreads._report.looks import is_runnable
from helpers import HAS_GIL, WAIT, start, wait_until
from machine import needs_monitoring

pytestmark = [
    needs_monitoring,
    pytest.mark.skipif(not HAS_GIL, reason="there it waits for nothing"),
]

INTERVAL = 0.03  # seconds for which the GIL can be kept from others


def keep_gil(seconds: float) -> None:
    """For so long, but for a moment in each switch interval in which others want it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


def with_lock(lock: Any) -> None:
    with lock:
        pass


def acquire(lock: Any) -> None:
    lock.acquire()
    try:
        pass
    finally:
        lock.release()


def acquire_that_of_a_condition(lock: Any) -> None:
    condition = threading.Condition(lock)
    with condition:
        pass


def put_into_a_queue(lock: Any) -> None:
    jobs: queue.Queue[int] = queue.Queue()
    jobs.mutex = lock
    jobs.not_full = threading.Condition(lock)
    jobs.not_empty = threading.Condition(lock)
    jobs.put(1)


def come_back_from_a_wait(lock: Any) -> None:
    """It has to have the lock again, which it had when it began to wait."""
    condition = threading.Condition(lock)
    with condition:
        condition.wait(0.05)


def is_at(thread: threading.Thread, name: str) -> bool:
    """Whether it is in a call that a function of that name makes."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code.co_name == name


@pytest.fixture
def long_interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(INTERVAL)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("long_interval")
@pytest.mark.parametrize("make", [threading.Lock, threading.RLock])
@pytest.mark.parametrize(
    "take",
    [with_lock, acquire, acquire_that_of_a_condition, put_into_a_queue, come_back_from_a_wait],
)
def test_it_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, take: Callable[[Any], None], make: Callable[[], Any]
) -> None:
    """
    1. a thread waits for a lock, which the controller has
    2. a look begins; the controller releases the lock, and keeps the GIL
    3. the thread owns it, wakes for a moment, and sleeps on, as another one has the GIL
    4. the look finds all at rest: two glances in which nobody has moved
    """
    lock = make()
    released: list[None] = []
    pauses: list[float] = []
    original, is_wanted = Bar._glance, bar._want_to_run

    def glance(self: Bar) -> dict[int, float | None]:
        if not released:
            released.append(None)
            lock.release()
            keep_gil(INTERVAL / 10)
        return original(self)

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        keep_gil(seconds)

    def want_to_run(idents: Iterable[int]) -> bool:
        """In a short look nobody who may have had no processor yet; to ask gives the GIL away."""
        return max(pauses) >= INTERVAL and is_wanted(idents)

    def is_at_rest() -> bool:
        frame = sys._current_frames().get(thread.ident or 0)
        return frame is not None and may_own(frame) and not is_runnable(thread.native_id or 0)

    if take is come_back_from_a_wait:
        thread = start(take, lock)
        wait_until(lambda: is_at(thread, "wait"))
        lock.acquire()
    else:
        lock.acquire()
        thread = start(take, lock)
    wait_until(is_at_rest)
    with monkeypatch.context() as patch:
        patch.setattr(Bar, "_glance", glance)
        patch.setattr(bar, "sleep", pause)
        patch.setattr(bar, "_want_to_run", want_to_run)
        with Freezer().freeze(where="unlocked", timeout=WAIT):
            assert released
            assert lock.acquire(blocking=False)
            lock.release()
    thread.finish()
