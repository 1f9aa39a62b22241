"""A thread that waits in `freezethreads.sync` counts as stopped, and takes nothing while frozen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import freezing
import sync_waits
from freezethreads import Freezer, FreezeTimeout, State, sync
from freezing import puppet, puppets
from helpers import WAIT, start, wait_for
from sync_clock import Clock, begin, outcome, turn_over
from sync_waits import EXCLUSIVE, OPENERS, Wait

every_wait = pytest.mark.parametrize("name", OPENERS)


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("frozen")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@every_wait
def test_a_thread_that_waits_counts_as_stopped(
    freezer: Freezer, clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with OPENERS[name](clock) as wait, puppet(freezer) as thread:
        future = begin(monkeypatch, thread, wait.wait, None)
        with freezer.freeze(timeout=WAIT) as world:
            (info,) = world.threads
            assert info.state is State.FROZEN
            assert info.site is not None
            assert (info.site.kind, info.site.label) == ("wait", wait.label)
            assert info.site.filename in (sync_waits.__file__, freezing.__file__), "not its caller"
        (info,) = freezer.threads()
        assert info.state is State.BLOCKED
        wait.give()
        assert outcome(future) == wait.result


@every_wait
def test_what_it_waits_for_is_there_for_the_controller(
    freezer: Freezer, clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with OPENERS[name](clock) as wait, puppet(freezer) as thread:
        future = begin(monkeypatch, thread, wait.wait, None)
        with freezer.freeze(timeout=WAIT) as world:
            wait.give()
            turn_over(world)
            assert not future.done()
            assert wait.is_there()
        if name in EXCLUSIVE:
            check_waits_on(freezer, wait, future)
        assert outcome(future) == wait.result


def check_waits_on(freezer: Freezer, wait: Wait, future: object) -> None:
    """What it waited for was taken: it comes round, and waits for the next."""
    (info,) = freezer.threads()
    freezer.todo(info, int).result(WAIT)
    freezer.todo(info, int).result(WAIT)
    assert not future.done()  # type: ignore[attr-defined]
    wait.give()


@pytest.mark.parametrize("woken", [True, False], ids=["woken", "asleep"])
@every_wait
def test_it_gets_it_after_the_thaw(
    freezer: Freezer, clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str, woken: bool
) -> None:
    with OPENERS[name](clock) as wait, puppet(freezer) as thread:
        future = begin(monkeypatch, thread, wait.wait, None)
        with freezer.freeze(timeout=WAIT) as world:
            wait.give()
            if woken:
                turn_over(world)
            assert not future.done()
        assert outcome(future) == wait.result


@pytest.mark.parametrize("first", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize("woken", [True, False], ids=["woken", "asleep"])
@every_wait
def test_it_is_kept_by_each_freezer_with_which_it_is_enrolled(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str, woken: bool, first: int
) -> None:
    """Two freezes that overlap; one or the other of them is thawed first."""
    freezers = Freezer("one"), Freezer("other")
    with OPENERS[name](clock) as wait, puppet(freezers[0]) as thread:
        thread.do(freezers[1].register)
        future = begin(monkeypatch, thread, wait.wait, None)
        worlds = [freezers[0].freeze(timeout=WAIT)]
        if woken:
            wait.give()
            turn_over(worlds[0])
        worlds.append(freezers[1].freeze(timeout=WAIT))
        if not woken:
            wait.give()
        worlds.pop(first).thaw()
        turn_over(worlds[0])
        assert not future.done()
        assert wait.is_there()
        if name in EXCLUSIVE:
            wait.give()
        worlds[0].thaw()
        assert outcome(future) == wait.result


def test_a_lock_that_is_free_is_no_place_to_stop(freezer: Freezer) -> None:
    """Its acquisition takes something, so a freeze waits for a place before or after it."""
    asked = threading.Event()
    with puppet(freezer, waker=asked.set) as thread:
        controller = start(lambda: freezer.freeze(timeout=WAIT).thaw())
        wait_for(asked)
        for mutex in (sync.Lock(), sync.RLock()):
            assert thread.do(mutex.acquire)
            thread.do(mutex.release)
        assert controller.is_alive()
        thread.do(freezer.safepoint)
        controller.finish()


def test_a_wait_in_a_blocking_region_is_part_of_that(
    freezer: Freezer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = sync.Lock()
    lock.acquire()

    def wait() -> bool:
        with freezer.blocking("mine"):
            return lock.acquire()

    with puppet(freezer) as thread:
        future = begin(monkeypatch, thread, wait)
        with freezer.freeze(timeout=WAIT) as world:
            (info,) = world.threads
            assert info.site is not None
            assert (info.site.kind, info.site.label) == ("blocking", "mine")
        lock.release()
        assert outcome(future) is True


def test_a_wait_in_no_freeze_keeps_a_freeze_waiting(
    freezer: Freezer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = sync.Lock()
    lock.acquire()
    asked = threading.Event()

    def wait() -> bool:
        with freezer.no_freeze():
            lock.acquire()
        freezer.safepoint()
        return lock.locked()

    with puppet(freezer, waker=asked.set) as thread:
        future = begin(monkeypatch, thread, wait)
        assert freezer.threads()[0].state is State.RUNNING
        controller = start(lambda: freezer.freeze(timeout=WAIT).thaw())
        wait_for(asked)
        assert controller.is_alive()
        lock.release()
        controller.finish()
        assert outcome(future) is True


def test_several_that_wait_for_one_thing_are_all_stopped(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    items: sync.SimpleQueue[int] = sync.SimpleQueue()
    with puppets(freezer, "a", "b", "c") as threads:
        futures = [begin(monkeypatch, thread, items.get) for thread in threads]
        with freezer.freeze(timeout=WAIT) as world:
            for number in range(3):
                items.put(number)
            turn_over(world)
            assert not any(future.done() for future in futures)
            assert items.qsize() == 3
        assert sorted(future.result(WAIT) for future in futures) == [0, 1, 2]  # type: ignore


def test_a_wait_is_named_by_the_line_that_asked_for_it(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    items: sync.Queue[int] = sync.Queue()

    def take() -> int:
        return items.get()

    with puppet(freezer) as thread:
        future = begin(monkeypatch, thread, take)
        (info,) = freezer.threads()
        assert info.site is not None
        assert Path(info.site.filename) == Path(__file__)
        assert info.site.function.endswith("take")
        items.put(1)
        assert outcome(future) == 1


@pytest.mark.parametrize(
    ("make", "give"),
    [
        (sync.Event, "set"),
        (sync.Semaphore, "release"),
        (lambda: sync.BoundedSemaphore(1), "release"),
    ],
    ids=["event", "semaphore", "bounded_semaphore"],
)
def test_nobody_is_stopped_while_it_gives_something(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any], give: str
) -> None:
    """A thread that waits for it inside `no_freeze()` would keep the freeze waiting for ever."""
    thing = make()
    if give == "release":
        thing.acquire()
    with puppet(freezer) as thread:
        with thing._cond:
            giving = begin(monkeypatch, thread, getattr(thing, give))
            with pytest.raises(FreezeTimeout):
                freezer.freeze(timeout=0.01)
        giving.result(WAIT)
