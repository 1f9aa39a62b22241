"""A controller that waits for a lock of a thread that it has frozen is told, and does not hang."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import pytest

from freezethreads import FreezeError, Freezer, Hold, LeaseExpired, sync
from freezethreads._machine.monitoring import is_available
from freezethreads._report import ownership
from freezethreads._report.ownership import awaited_by
from helpers import HAS_GIL, WAIT, Worker, start, wait_for, wait_until

MakeLock: TypeAlias = Callable[[], Any]

every_lock = pytest.mark.parametrize("make", [sync.Lock, sync.RLock, sync.Condition])


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("under test")


class Owner:
    """A thread that owns a lock, and passes safepoints, until it is told to release it."""

    def __init__(self, freezer: Freezer, lock: Any, group: str = "") -> None:
        self.over = threading.Event()
        self._freezer, self._lock, self._group = freezer, lock, group
        self._owned = threading.Event()
        self.thread: Worker[None] = start(self._own, name="owner")
        wait_for(self._owned)

    def _own(self) -> None:
        with self._freezer.register(group=self._group), self._lock:  # acquired here
            self._owned.set()
            while not self.over.wait(0.001):
                self._freezer.safepoint("with the lock")


@contextmanager
def owned(freezer: Freezer, lock: Any, group: str = "") -> Iterator[Owner]:
    owner = Owner(freezer, lock, group)
    try:
        yield owner
    finally:
        owner.over.set()
        owner.thread.finish()


def line_with(comment: str) -> str:
    """Where in this file that comment is."""
    with open(__file__, encoding="utf-8") as file:
        (number,) = (n for n, line in enumerate(file, 1) if line.endswith(f"  # {comment}\n"))
    return f"{__file__}:{number} in "


def is_free(lock: Any) -> bool:
    return bool(start(lock.acquire, False).finish())


@every_lock
@pytest.mark.parametrize("registered", [True, False])
def test_it_is_told_at_once(freezer: Freezer, make: MakeLock, registered: bool) -> None:
    lock = make()

    def control() -> None:
        with freezer.freeze(timeout=WAIT, reason="a look") as world:
            with pytest.raises(FreezeError) as caught:
                lock.acquire()  # wanted here
            assert not world.expired
            (info,) = world.threads
            assert info.state.name == "FROZEN", "the world stands as before"
        told.append(str(caught.value))

    def control_registered() -> None:
        with freezer.register():
            control()

    told: list[str] = []
    with owned(freezer, lock):
        start(control_registered if registered else control, name="controller").finish()
        (message,) = told
        assert message.startswith("owner owns <locked freezethreads.sync.")
        assert " and stands at its safepoint 'with the lock' at " in message
        assert "in <freeze by controller for 'a look'>" in message
        assert f"would wait for the lock for ever at {line_with('wanted here')}" in message
        assert (f", acquired at {line_with('acquired here')}" in message) is HAS_GIL
        assert not is_free(lock)
    assert is_free(lock), "nothing was taken"


@pytest.mark.parametrize("make", [sync.Lock, sync.RLock])
def test_where_it_was_acquired_if_that_was_noted(
    freezer: Freezer, make: MakeLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "tracking", True)
    lock = make()
    with (
        owned(freezer, lock),
        freezer.freeze(timeout=WAIT),
        pytest.raises(FreezeError, match=f", acquired at {line_with('acquired here')}"),
    ):
        lock.acquire()


def test_a_world_inside_its_own_world(freezer: Freezer) -> None:
    lock = sync.Lock()
    with (
        owned(freezer, lock),
        freezer.freeze(timeout=WAIT),
        freezer.freeze(timeout=WAIT),
        pytest.raises(FreezeError),
    ):
        lock.acquire()


@pytest.mark.skipif(not is_available(), reason="needs the second engine")
def test_a_world_between_two_bytecodes(freezer: Freezer) -> None:
    lock, over, running = sync.Lock(), [False], threading.Event()

    def compute() -> None:
        with lock:
            while not over[0]:
                running.set()

    thread = start(compute, name="owner")
    wait_for(running)
    with freezer.freeze(timeout=WAIT, where="anywhere"), pytest.raises(FreezeError):
        lock.acquire()
    over[0] = True
    thread.finish()


def test_who_waits_with_a_time_out_waits(freezer: Freezer) -> None:
    lock = sync.Lock()
    with owned(freezer, lock), freezer.freeze(timeout=WAIT):
        assert not lock.acquire(timeout=0.01)
        assert not lock.acquire(blocking=False)


def test_a_lease_ends_it(freezer: Freezer) -> None:
    lock = sync.Lock()
    with owned(freezer, lock) as owner:
        world = freezer.freeze(timeout=WAIT, lease=0.05)
        owner.over.set()
        lock.acquire()
        with pytest.raises(LeaseExpired):
            world.__exit__()
    lock.release()


def when_it_waits(ident: int, lock: Any, do: Callable[[], object]) -> Worker[None]:
    """A thread that does something as soon as another one waits for the lock."""

    def watch() -> None:
        wait_until(lambda: awaited_by(ident) is lock)
        do()

    return start(watch)


def test_a_hold_is_for_others_to_thaw(freezer: Freezer) -> None:
    lock = sync.Lock()
    with owned(freezer, lock) as owner:
        hold: Hold = freezer.hold(timeout=WAIT)
        owner.over.set()
        other = when_it_waits(threading.get_ident(), lock, hold.thaw)
        lock.acquire()
        other.finish()
    lock.release()


def test_somebody_elses_world_is_for_that_one_to_end(freezer: Freezer) -> None:
    lock, stands, over = sync.Lock(), threading.Event(), threading.Event()

    def control() -> None:
        with freezer.freeze(timeout=WAIT):
            stands.set()
            wait_for(over)

    with owned(freezer, lock) as owner:
        controller = start(control)
        wait_for(stands)
        owner.over.set()
        other = when_it_waits(threading.get_ident(), lock, over.set)
        lock.acquire()
        for thread in (controller, other):
            thread.finish()
    lock.release()


def test_an_owner_that_is_in_another_group_runs(freezer: Freezer) -> None:
    lock = sync.Lock()
    with owned(freezer, lock, "b") as owner, freezer.freeze(timeout=WAIT, group="a"):
        other = when_it_waits(threading.get_ident(), lock, owner.over.set)
        lock.acquire()
        other.finish()
        lock.release()


def test_an_owner_that_was_moved_there_runs_until_its_next_safepoint(freezer: Freezer) -> None:
    lock, over, moved = sync.Lock(), threading.Event(), threading.Event()
    registration: list[Any] = []

    def own() -> None:
        with freezer.register(group="b") as mine, lock:
            registration.append(mine)
            moved.set()
            wait_for(over)

    owner = start(own)
    wait_for(moved)
    with freezer.freeze(timeout=WAIT, group="a"):
        registration[0].move("a")
        other = when_it_waits(threading.get_ident(), lock, over.set)
        lock.acquire()
        other.finish()
        lock.release()
    owner.finish()


def test_an_owner_that_makes_a_call_may_release_it(freezer: Freezer) -> None:
    """The call for the world waits for a signal handler of the controller, which waits for it."""
    lock = sync.Lock()
    entered: list[int] = []
    handled, acquired, over = threading.Event(), threading.Event(), threading.Event()

    def handle(*_: object) -> None:
        entered.append(threading.get_ident())
        if len(entered) == 1:
            lock.acquire()
            lock.release()
            handled.set()

    def interrupts(controller: int) -> bool:
        if not entered:  # one that comes just before it goes to sleep wakes nobody
            signal.pthread_kill(controller, signal.SIGUSR1)
        return awaited_by(controller) is lock

    def release(controller: int) -> None:
        wait_until(lambda: interrupts(controller))
        lock.release()

    def own() -> None:
        with freezer.register():
            lock.acquire()
            acquired.set()
            while not over.wait(0.001):
                freezer.safepoint()

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        owner = start(own)
        wait_for(acquired)
        with freezer.freeze(timeout=WAIT) as world:
            world.call(owner, release, threading.get_ident())
        wait_for(handled)
        over.set()
        owner.finish()
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("make", [sync.Lock, sync.RLock])
def test_a_wait_of_a_condition_never_ends_without_its_lock(
    freezer: Freezer, make: MakeLock
) -> None:
    """Who has it came into the world, and stands there: it has the lock until the thaw."""
    condition, waits = sync.Condition(make()), threading.Event()

    def come() -> None:
        wait_for(waits)
        with condition:
            condition.notify()
            with freezer.register():  # stands here
                pass

    with freezer.freeze(timeout=WAIT) as world:
        newcomer = start(come)
        other = when_it_waits(threading.get_ident(), condition._lock, world.thaw)  # type: ignore[attr-defined]
        with condition:
            waits.set()
            assert condition.wait(WAIT)
            assert condition._is_owned()  # type: ignore[attr-defined]
    for thread in (newcomer, other):
        thread.finish()


def test_another_thread_waits_until_the_thaw(freezer: Freezer) -> None:
    lock = sync.RLock()
    with owned(freezer, lock) as owner:
        with freezer.freeze(timeout=WAIT):
            waiter = start(lambda: lock.acquire() and lock.release())
            wait_until(lambda: awaited_by(waiter.ident or 0) is lock)
        owner.over.set()
        waiter.finish()


def test_the_lease_of_an_inner_world_that_is_over_ends_no_wait(freezer: Freezer) -> None:
    lock = sync.Lock()
    with owned(freezer, lock), freezer.freeze(timeout=WAIT):
        with freezer.freeze(lease=WAIT):
            pass
        with pytest.raises(FreezeError, match="would wait for the lock for ever"):
            lock.acquire()
