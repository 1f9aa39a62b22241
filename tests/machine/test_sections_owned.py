"""A lock of `freezethreads.sync` is a section of its owner, whatever function acquired it."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

import freezethreads
from freezethreads import FreezeTimeout, install, sync
from freezethreads._report import ownership
from helpers import WAIT, start
from machine import Blocked, loaded, needs_monitoring, spin

pytestmark = needs_monitoring

SHORT = 0.5  # seconds in which all but the owner stop

each_lock = pytest.mark.parametrize("make", [sync.Lock, sync.RLock])
each_way = pytest.mark.parametrize("waits", [False, True], ids=["computing", "waiting"])


class Owner:
    """A thread that acquires a lock by way of a call, and computes or waits until `release()`."""

    def __init__(self, lock: Any, waits: bool) -> None:
        self._ready, self._gate, self._go = threading.Event(), threading.Event(), False
        self._released = threading.Event()
        self._worker = start(self._run, lock, waits, name="owner")
        assert self._ready.wait(WAIT)

    def _run(self, lock: Any, waits: bool) -> None:
        with ExitStack() as stack:
            stack.enter_context(lock)
            self._ready.set()
            if waits:
                self._gate.wait(WAIT)
            while not self._go:
                spin()
        self._released.set()
        self._ready.clear()
        while not self._ready.is_set():
            spin()

    def release(self) -> None:
        self._go = True
        self._gate.set()
        assert self._released.wait(WAIT)

    def finish(self) -> None:
        self.release()
        self._ready.set()
        self._worker.finish()


@contextmanager
def owner_of(lock: Any, waits: bool) -> Iterator[Owner]:
    owner = Owner(lock, waits)
    try:
        yield owner
    finally:
        owner.finish()


@each_lock
@each_way
def test_its_owner_is_not_stopped(make: Callable[[], Any], waits: bool) -> None:
    lock = make()
    with loaded(other=spin), owner_of(lock, waits) as owner:
        with pytest.raises(FreezeTimeout) as raised:
            freezethreads.freeze(timeout=SHORT, where="unlocked")
        assert [late.name for late in raised.value.stragglers] == ["owner"]
        assert f"a section of {lock!r}" in str(raised.value)
        owner.release()
        with freezethreads.freeze(timeout=WAIT, where="unlocked") as world:
            assert len(world.threads) == 2
            assert world.locks == ()
            assert lock.acquire(timeout=WAIT)
            lock.release()


@each_lock
@each_way
def test_anywhere_it_is_stopped_and_the_world_tells(make: Callable[[], Any], waits: bool) -> None:
    lock = make()
    with owner_of(lock, waits):
        with freezethreads.freeze(timeout=WAIT, where="anywhere") as world:
            (held,) = world.locks
        assert (held.lock, held.thread.name, held.site) == (lock, "owner", None)


@each_lock
def test_where_it_was_acquired_is_told_if_that_was_noted(make: Callable[[], Any]) -> None:
    ownership.track(test_where_it_was_acquired_is_told_if_that_was_noted)
    try:
        lock = make()
        with owner_of(lock, waits=True):
            with freezethreads.freeze(timeout=WAIT, where="anywhere") as world:
                (held,) = world.locks
            assert held.site is not None
            assert held.site.function.endswith("enter_context")
    finally:
        ownership.untrack(test_where_it_was_acquired_is_told_if_that_was_noted)


@each_lock
def test_one_that_is_acquired_and_released_all_the_time(make: Callable[[], Any]) -> None:
    """Nobody stands between these two, in whatever functions they are."""
    lock, books = make(), [0, 0]

    def give() -> None:
        lock.acquire()
        books[0] += 1

    def take() -> None:
        books[1] += 1
        lock.release()

    def transfer() -> None:
        give()
        spin()
        take()

    with loaded(first=transfer, second=transfer, third=transfer):
        for _ in range(10):
            with freezethreads.freeze(timeout=WAIT, where="unlocked") as world:
                assert books[0] == books[1]
                assert world.locks == ()


def test_the_controllers_own_lock_stops_no_freeze() -> None:
    lock = sync.Lock()
    blocked = Blocked()
    try:
        lock.acquire()
        with freezethreads.freeze(timeout=WAIT, where="unlocked") as world:
            assert len(world.threads) == 1
    finally:
        blocked.finish()


def test_a_lock_that_is_a_sign_under_install_is_none() -> None:
    """One thread acquires it, and another one releases it: nobody need wait for the former."""
    with install():
        lock = threading.Lock()
    with owner_of(lock, False), freezethreads.freeze(timeout=WAIT, where="unlocked") as world:
        assert len(world.threads) == 1


def test_nothing_is_kept_of_a_lock_that_is_gone() -> None:
    gc.collect()
    before = len(ownership._made._references)
    lock = sync.Lock()
    assert len(ownership._made._references) == before + 1
    del lock
    gc.collect()
    assert len(ownership._made._references) == before
