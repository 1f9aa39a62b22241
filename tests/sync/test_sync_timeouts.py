"""Time-outs in `freezethreads.sync`: what becomes of a wait whose time runs out during a freeze."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from freezethreads import Freezer, State, sync
from freezing import puppet
from helpers import WAIT
from sync_clock import Clock, begin, outcome, turn_over
from sync_waits import OPENERS, TIMED

every_timed_wait = pytest.mark.parametrize("name", TIMED)


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("timeouts")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@every_timed_wait
def test_a_wait_ends_when_its_time_is_over(
    freezer: Freezer, clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with OPENERS[name](clock) as wait, puppet(freezer) as thread:
        future = begin(monkeypatch, thread, wait.wait, 10.0)
        clock.advance(9.9)
        freezer.todo(thread.worker, int).result(WAIT)
        assert not future.done()
        clock.advance(0.2)
        assert outcome(future) == wait.late


@every_timed_wait
def test_a_wait_whose_time_runs_out_in_a_freeze_ends_after_the_thaw(
    freezer: Freezer, clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with OPENERS[name](clock) as wait, puppet(freezer) as thread:
        future = begin(monkeypatch, thread, wait.wait, 10.0)
        with freezer.freeze(timeout=WAIT) as world:
            clock.advance(11)
            turn_over(world)
            assert not future.done()
            assert world.threads[0].state is State.FROZEN
        assert outcome(future) == wait.late


@pytest.mark.parametrize("name", [name for name in TIMED if name != "sleep"])
def test_what_comes_after_the_end_but_in_the_same_freeze_is_taken(
    freezer: Freezer, clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with OPENERS[name](clock) as wait, puppet(freezer) as thread:
        future = begin(monkeypatch, thread, wait.wait, 10.0)
        with freezer.freeze(timeout=WAIT) as world:
            clock.advance(11)
            turn_over(world)
            wait.give()
        assert outcome(future) == wait.result


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("make", [sync.SimpleQueue, sync.Queue])
def test_of_several_that_are_late_each_takes_an_item_that_is_there(
    freezer: Freezer,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[], Any],
    count: int,
) -> None:
    items = make()

    def take() -> list[int]:
        try:
            return [items.get(timeout=10.0)]
        except queue.Empty:
            return []

    with puppet(freezer) as one, puppet(freezer) as two, puppet(freezer) as three:
        futures = [begin(monkeypatch, thread, take) for thread in (one, two, three)]
        with freezer.freeze(timeout=WAIT) as world:
            clock.advance(11)
            for number in range(count):
                items.put(number)
            turn_over(world)
        taken: list[Any] = [future.result(WAIT) for future in futures]
        assert sorted(taken) == [[]] * (3 - count) + [[number] for number in range(count)]


@every_timed_wait
def test_the_time_in_a_freeze_is_time_waited(
    freezer: Freezer, clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with OPENERS[name](clock) as wait, puppet(freezer) as thread:
        future = begin(monkeypatch, thread, wait.wait, 10.0)
        for _ in range(2):
            with freezer.freeze(timeout=WAIT) as world:
                clock.advance(4)
                turn_over(world)
        freezer.todo(thread.worker, int).result(WAIT)
        assert not future.done()
        clock.advance(2.1)
        assert outcome(future) == wait.late


ZERO: dict[str, Callable[[], object]] = {
    "Lock": lambda: held(sync.Lock()).acquire(timeout=0),
    "Lock, not blocking": lambda: held(sync.Lock()).acquire(False),
    "Condition": lambda: notified(0),
    "Condition, in the past": lambda: notified(-1),
    "Event": lambda: sync.Event().wait(0),
    "Event, in the past": lambda: sync.Event().wait(-1),
    "Semaphore": lambda: sync.Semaphore(0).acquire(timeout=0),
    "Semaphore, not blocking": lambda: sync.Semaphore(0).acquire(False),
}


def held(lock: sync.Lock) -> sync.Lock:
    """That lock, acquired."""
    lock.acquire()
    return lock


def notified(timeout: float) -> bool:
    """What a wait that nobody ends returns."""
    condition = sync.Condition()
    with condition:
        return condition.wait(timeout)


@pytest.mark.parametrize("name", ZERO)
def test_no_time_at_all_is_over_at_once(freezer: Freezer, name: str) -> None:
    with puppet(freezer) as thread:
        assert thread.do(ZERO[name]) is False
        assert ZERO[name]() is False


def test_a_queue_with_no_time_at_all_is_empty_at_once(freezer: Freezer) -> None:
    with puppet(freezer) as thread:
        for items in (sync.Queue[int](), sync.SimpleQueue[int]()):
            for kwargs in ({"block": False}, {"timeout": 0}):
                with pytest.raises(queue.Empty):
                    thread.do(items.get, **kwargs)


NAN = float("nan")
NO_NUMBER: dict[str, Callable[[], object]] = {
    "Lock": lambda: held(sync.Lock()).acquire(timeout=NAN),
    "Condition": lambda: notified(NAN),
    "Condition.wait_for": lambda: awaited(NAN),
    "Event": lambda: sync.Event().wait(NAN),
    "Semaphore": lambda: sync.Semaphore(0).acquire(timeout=NAN),
    "Barrier": lambda: sync.Barrier(2).wait(NAN),
    "Queue.get": lambda: sync.Queue[int]().get(timeout=NAN),
    "Queue.put": lambda: filled(sync.Queue(1)).put(1, timeout=NAN),
    "SimpleQueue": lambda: sync.SimpleQueue[int]().get(timeout=NAN),
    "SimpleQueue, with an item": lambda: filled(sync.SimpleQueue()).get(timeout=NAN),
    "sleep": lambda: sync.sleep(NAN),
}


def awaited(timeout: float) -> bool:
    """What a wait for what never becomes true returns."""
    condition = sync.Condition()
    with condition:
        return condition.wait_for(lambda: False, timeout)


def filled(items: Any) -> Any:
    """That queue, with an item in it."""
    items.put(0)
    return items


@pytest.mark.parametrize("name", NO_NUMBER)
def test_a_time_that_is_no_number_is_refused(freezer: Freezer, name: str) -> None:
    """On each CPython: before 3.14 some of the standard library's never end."""
    with puppet(freezer) as thread, pytest.raises(ValueError, match="NaN"):
        thread.do(NO_NUMBER[name])
    with pytest.raises(ValueError, match="NaN"):
        NO_NUMBER[name]()


def test_a_barrier_breaks_for_all_when_one_is_late(
    freezer: Freezer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    barrier = sync.Barrier(3)
    with puppet(freezer) as one, puppet(freezer) as two:
        futures = [
            begin(monkeypatch, one, barrier.wait, 10.0),
            begin(monkeypatch, two, barrier.wait),
        ]
        with freezer.freeze(timeout=WAIT) as world:
            clock.advance(11)
            turn_over(world)
            assert not barrier.broken
        for future in futures:
            assert outcome(future) is threading.BrokenBarrierError


def test_sleep_is_not_shorter_than_asked(freezer: Freezer, clock: Clock) -> None:
    """A ring too many, as a todo is one, does not end it."""
    with puppet(freezer) as thread:
        future: Future[object] = thread.tell(sync.sleep, 5)
        for _ in range(4):
            freezer.todo(thread.worker, clock.advance, 1.2).result(WAIT)
            assert not future.done()
        clock.advance(0.3)
        assert outcome(future) is None
