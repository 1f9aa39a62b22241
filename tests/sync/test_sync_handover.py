"""Who is woken and then frozen does not keep from others what it cannot have itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from freezethreads import Freezer, Hold, sync
from freezethreads._ground.completion import Bell
from freezing import Pause, Puppet, actor, after, puppet, puppets
from helpers import WAIT, wait_for
from rigging import rig_mark
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
        rig_mark(both[0].record.parking, after_off=pause)
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


@pytest.mark.parametrize("make", [sync.Queue, sync.SimpleQueue])
def test_who_makes_a_call_of_a_world_lets_others_have_what_comes(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any]
) -> None:
    """Also when the freeze is gone meanwhile. (So it is in the child, if the call forks.)"""
    items = make()

    def thaw_and_put() -> object:
        world.thaw()
        items.put("item")
        return second.result(WAIT)

    with puppet(freezer) as thread, puppet(Freezer("other")) as other:
        first = begin(monkeypatch, thread, items.get)
        second = begin(monkeypatch, other, items.get)
        with freezer.freeze(timeout=WAIT) as world:
            assert world.call(thread.worker, thaw_and_put) == "item"
        items.put("another")
        assert outcome(first) == "another"
