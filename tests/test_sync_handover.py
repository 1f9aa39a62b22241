"""Who is woken and then frozen does not keep from others what it cannot have itself."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from freezethreads import Freezer, Hold, sync
from freezethreads._completion import Bell
from freezethreads._todo import AWAY
from freezing import Pause, Puppet, actor, after, puppet, puppets, rig_todo
from helpers import WAIT, wait_for, wait_until
from sync_clock import Clock, begin, outcome
from sync_waits import EXCLUSIVE, OPENERS, Wait

# Those for which being woken means nothing, and having it everything.
WOKEN_TO_LOOK = pytest.mark.parametrize("name", ["lock", "rlock", "simple_queue_get"])
# Those in which somebody is chosen when it is given.
CHOSEN = [name for name in EXCLUSIVE if name not in ("lock", "rlock", "simple_queue_get")]


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("handover")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def both(freezer: Freezer) -> Iterator[list[Puppet]]:
    """Two threads in different groups."""
    with puppets(freezer, "first", "second") as threads:
        yield threads


def hold(freezer: Freezer, group: str) -> Hold:
    return freezer.hold(group=group, timeout=WAIT)


def give_again(wait: Wait, name: str) -> None:
    """For the other thread. (Who got the re-entrant lock has given it back itself.)"""
    if name != "rlock":
        wait.give()


@WOKEN_TO_LOOK
def test_who_is_frozen_when_it_is_woken_passes_it_on(
    freezer: Freezer,
    clock: Clock,
    both: list[Puppet],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """1. The first is woken by what is given; it has not taken its mark off.
    2. Its group is frozen, and counts it as stopped.
    3. It goes on, parks, and wakes the second.
    """
    with OPENERS[name](clock) as wait:
        pause = Pause(both[0].worker)
        after(monkeypatch, Bell, "wait", pause)
        futures = [begin(monkeypatch, thread, wait.wait, None) for thread in both]
        wait.give()
        pause.wait()
        with hold(freezer, "first"):
            pause.go()
            assert outcome(futures[1]) == wait.result
            assert not futures[0].done()
        give_again(wait, name)
        assert outcome(futures[0]) == wait.result


@WOKEN_TO_LOOK
def test_who_is_asked_to_freeze_on_its_way_back_passes_it_on(
    freezer: Freezer,
    clock: Clock,
    both: list[Puppet],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """1. The first is woken by what is given, and has just taken its mark off.
    2. Its group is to be frozen; the freeze waits for it.
    3. It finds that on its list, parks, and wakes the second.
    """
    with OPENERS[name](clock) as wait, actor() as controller:
        pause = Pause()
        futures = [begin(monkeypatch, thread, wait.wait, None) for thread in both]
        rig_todo(both[0], after_pop=lambda key: pause() if key is AWAY else None)
        wait.give()
        pause.wait()
        asked = threading.Event()
        both[0].record.waker = asked.set
        holding = controller.tell(hold, freezer, "first")
        wait_for(asked)
        pause.go()
        with holding.result(WAIT):
            assert outcome(futures[1]) == wait.result
            assert not futures[0].done()
        give_again(wait, name)
        assert outcome(futures[0]) == wait.result


@pytest.mark.parametrize("thawed", [0, 1], ids=["first", "second"])
@WOKEN_TO_LOOK
def test_of_two_that_are_frozen_the_one_that_is_thawed_gets_it(
    freezer: Freezer,
    clock: Clock,
    both: list[Puppet],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    thawed: int,
) -> None:
    with OPENERS[name](clock) as wait:
        futures = [begin(monkeypatch, thread, wait.wait, None) for thread in both]
        holds = [hold(freezer, "first"), hold(freezer, "second")]
        wait.give()
        assert not any(future.done() for future in futures)
        holds.pop(thawed).thaw()
        assert outcome(futures.pop(thawed)) == wait.result
        assert not futures[0].done()
        give_again(wait, name)
        holds[0].thaw()
        assert outcome(futures[0]) == wait.result


@pytest.mark.parametrize("puts", [1, 2, 3, 4])
def test_items_that_are_put_while_all_are_frozen(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch, puts: int
) -> None:
    """They are for those who are thawed, in whatever order that is done."""
    groups = ("a", "b", "c", "d")
    items: sync.SimpleQueue[int] = sync.SimpleQueue()
    with puppets(freezer, *groups) as threads:
        futures = [begin(monkeypatch, thread, items.get) for thread in threads]
        holds = {group: hold(freezer, group) for group in groups}
        for number in range(puts):
            items.put(number)
        thawed = [2, 0, 3, 1]
        for number in range(puts):
            index = thawed[number]
            holds[groups[index]].thaw()
            assert outcome(futures[index]) == number
        left = [index for index in range(4) if not futures[index].done()]
        assert left == sorted(thawed[puts:])
        for index in left:
            holds[groups[index]].thaw()
            items.put(9)
        assert [outcome(futures[index]) for index in left] == [9] * len(left)


@pytest.mark.parametrize("name", ["condition", "condition_of_raw_lock", *CHOSEN])
def test_a_notification_goes_to_one_that_is_not_frozen(
    freezer: Freezer,
    clock: Clock,
    both: list[Puppet],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    with OPENERS[name](clock) as wait:
        futures = [begin(monkeypatch, thread, wait.wait, None) for thread in both]
        with hold(freezer, "first"):
            wait.give()
            assert outcome(futures[1]) == wait.result
            assert not futures[0].done()
        wait.give()
        assert outcome(futures[0]) == wait.result


def test_notifications_keep_the_order_of_those_who_are_not_frozen(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    condition = sync.Condition()

    def wait() -> bool:
        with condition:
            return condition.wait()

    def notify(count: int) -> None:
        with condition:
            condition.notify(count)

    with puppets(freezer, "a", "b", "frozen", "c", "frozen", "d") as threads:
        futures = dict(enumerate(begin(monkeypatch, thread, wait) for thread in threads))
        with hold(freezer, "frozen"):
            notify(2)
            assert [outcome(futures.pop(index)) for index in (0, 1)] == [True, True]
            notify(1)
            assert outcome(futures.pop(3)) is True
            notify(2)  # of which one is for a frozen thread, the first of them
            assert outcome(futures.pop(5)) is True
            assert not any(future.done() for future in futures.values())
        assert outcome(futures.pop(2)) is True
        assert not futures[4].done()
        notify(1)
        assert outcome(futures.pop(4)) is True


def test_a_notification_that_is_not_allowed_changes_nothing(
    freezer: Freezer, both: list[Puppet], monkeypatch: pytest.MonkeyPatch
) -> None:
    condition = sync.Condition()

    def wait() -> bool:
        with condition:
            return condition.wait()

    futures = [begin(monkeypatch, thread, wait) for thread in both]
    order = list(condition._waiters)  # type: ignore[attr-defined]
    with hold(freezer, "first"):
        with pytest.raises(RuntimeError, match="un-acquired"):
            condition.notify()
        assert list(condition._waiters) == order  # type: ignore[attr-defined]
    with condition:
        condition.notify_all()
    assert [outcome(future) for future in futures] == [True, True]


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
        wait_until(lambda: thread.record.standing is not None)
        assert raw.acquire(timeout=WAIT)
        interrupt(thread.worker.ident)
        hold.thaw()
        wait_until(lambda: thread.record.standing is None)
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
