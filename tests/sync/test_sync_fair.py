"""Nobody starves for a lock, although who finds it free takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from freezethreads import Freezer, sync
from freezethreads._ground.completion import Bell
from freezethreads.sync import _locks
from freezing import Actor, Pause, actor, after, at_bell, puppet
from helpers import WAIT, wait_for

MUTEXES = pytest.mark.parametrize("make", [sync.Lock, sync.RLock])


@pytest.fixture(autouse=True)
def starving_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_locks, "_STARVING", -1.0)


@pytest.fixture
def other() -> Iterator[Actor]:
    with actor() as thread:
        yield thread


def beat(
    patch: pytest.MonkeyPatch, lock: Any, waiter: Actor, *args: Any
) -> tuple[Future[bool], Pause]:
    """Have `waiter` come too late once. The calling thread has the lock then, and it waits.

    Returns what it will have got, and the step after it is woken next.
    """
    lock.acquire()
    pause = Pause(waiter.worker)
    at_first = at_bell(patch, waiter.worker)
    after(patch, Bell, "wait", pause)
    waiting = waiter.tell(lock.acquire, *args)
    wait_for(at_first)
    lock.release()
    pause.wait()
    assert lock.acquire(False)
    woken = Pause(waiter.worker)
    after(patch, Bell, "wait", woken)
    again = at_bell(patch, waiter.worker)
    pause.go()
    wait_for(again)
    return waiting, woken


@MUTEXES
def test_who_waited_in_vain_goes_before_who_comes(
    monkeypatch: pytest.MonkeyPatch, other: Actor, make: Callable[[], Any]
) -> None:
    """
    1. A thread waits for the lock, is woken, and finds that somebody was quicker.
    2. It is woken again, and has not looked yet.
    3. Another comes, while the lock is free. It has to wait for the first one.
    """
    lock = make()
    with actor() as starved:
        waiting, pause = beat(monkeypatch, lock, starved)
        there = at_bell(monkeypatch, other.worker)
        lock.release()
        pause.wait()
        coming = other.tell(lock.acquire)
        wait_for(there)
        assert not lock.locked()
        pause.go()
        assert waiting.result(WAIT)
        assert not coming.done()
        starved.do(lock.release)
        assert coming.result(WAIT)
        other.do(lock.release)


@MUTEXES
def test_it_stays_reentrant_and_can_be_tried_while_somebody_starves(
    monkeypatch: pytest.MonkeyPatch, other: Actor, make: Callable[[], Any]
) -> None:
    lock = make()
    waiting, pause = beat(monkeypatch, lock, other)
    assert lock.acquire(False) is (make is sync.RLock)
    if make is sync.RLock:
        lock.release()
    lock.release()
    pause.wait()
    assert lock.acquire(False)
    lock.release()
    pause.go()
    assert waiting.result(WAIT)
    other.do(lock.release)


@MUTEXES
def test_a_lock_is_quick_again_when_nobody_starves_any_more(
    monkeypatch: pytest.MonkeyPatch, other: Actor, make: Callable[[], Any]
) -> None:
    """Who acquires it does not come to the slow path."""
    lock = make()
    waiting, pause = beat(monkeypatch, lock, other)
    pause.go()
    lock.release()
    assert waiting.result(WAIT)
    other.do(lock.release)
    monkeypatch.setattr(make, "_acquire_slow", None)
    with lock:
        assert lock.locked()


@MUTEXES
def test_a_lock_is_quick_again_when_who_starved_has_given_up(
    monkeypatch: pytest.MonkeyPatch, other: Actor, make: Callable[[], Any]
) -> None:
    lock = make()
    waiting, pause = beat(monkeypatch, lock, other, True, 0.05)
    pause.go()
    assert waiting.result(WAIT) is False
    lock.release()
    monkeypatch.setattr(make, "_acquire_slow", None)
    with lock:
        assert lock.locked()


@MUTEXES
def test_who_starves_and_is_frozen_keeps_nobody_from_the_lock(
    monkeypatch: pytest.MonkeyPatch, other: Actor, make: Callable[[], Any]
) -> None:
    freezer = Freezer()
    lock = make()
    with puppet(freezer) as starved:
        waiting, pause = beat(monkeypatch, lock, starved)
        pause.go()
        with freezer.freeze(timeout=WAIT):
            lock.release()
            assert other.do(lock.acquire, True, WAIT)
            other.do(lock.release)
            assert not waiting.done()
        assert waiting.result(WAIT)
        starved.do(lock.release)
