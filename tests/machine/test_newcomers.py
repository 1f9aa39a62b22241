"""Threads that come into a world between two bytecodes, and those that leave one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from freezethreads import Freezer, Registration, State
from freezethreads._machine.bar import Bar
from freezethreads._registry.status import Word
from freezing import Pause, after, before, puppet
from helpers import HAS_GIL, WAIT, start, start_own, wait_for, wait_until
from machine import needs_monitoring, spin
from peers.looking import frozen_groups, groups_of

pytestmark = needs_monitoring


class Counting:
    """A thread that counts as soon as it is in the group "a", without a call of anything."""

    def __init__(self, come_in: Callable[[Counting], object]) -> None:
        self.freezer = Freezer("newcomers")
        self.count = 0
        self.over = False
        self.go, self.up = threading.Event(), threading.Event()
        self.registrations: list[Registration] = []
        self._come_in = come_in
        self.worker = start(self.run)

    def run(self) -> None:
        self.registrations.append(self.freezer.register(group="b"))
        self.up.set()
        self._come_in(self)
        while not self.over:
            self.count += 1

    def goes_on(self) -> None:
        """Wait until it has counted further."""
        before = self.count
        wait_until(lambda: self.count > before)

    def is_held(self) -> None:
        """Fail if it counts after it has been found to be frozen."""
        wait_until(lambda: "a" in frozen_groups(self.freezer))
        before = self.count
        for _ in range(100):
            spin()
        assert self.count == before


@contextmanager
def counting(come_in: Callable[[Counting], object]) -> Iterator[Counting]:
    """One that comes in in that way, until the block is left."""
    one = Counting(come_in)
    wait_for(one.up)
    try:
        yield one
    finally:
        one.over = True
        one.go.set()
        one.worker.finish()


def by_register(one: Counting) -> None:
    wait_for(one.go)
    one.freezer.unregister()
    one.freezer.register(group="a")


def by_move(one: Counting) -> None:
    wait_for(one.go)
    one.registrations[0].move("a")


def by_region(one: Counting) -> None:
    wait_for(one.go)
    one.freezer.group("a").__enter__()


def by_nothing(one: Counting) -> None:
    """Whoever moves it is another thread."""


@pytest.mark.parametrize("come_in", [by_register, by_move, by_region])
def test_who_comes_in_while_it_stands_is_frozen_before_its_next_line(
    come_in: Callable[[Counting], object], where: Any
) -> None:
    with counting(come_in) as one:
        with one.freezer.hold(group="a", where=where, timeout=WAIT) as hold:
            one.go.set()
            one.is_held()
            assert one.count == 0
            assert [info.group for info in hold.threads] == ["a"]
        one.goes_on()


def test_who_comes_in_with_a_lock_goes_on_until_it_has_released_it() -> None:
    """With `where="unlocked"`, which promises that none is held."""
    lock = threading.Lock()
    seen: list[list[str]] = []

    def come_in(one: Counting) -> None:
        wait_for(one.go)
        with lock:
            one.registrations[0].move("a")
            seen.append(groups_of(one.freezer, State.RUNNING))

    with counting(come_in) as one:
        with one.freezer.hold(group="a", where="unlocked", timeout=WAIT) as hold:
            one.go.set()
            one.is_held()
            assert one.count == 0
            assert seen == [["a"]]
            assert hold.locks == ()
            assert not lock.locked()
        one.goes_on()


@pytest.mark.skipif(not HAS_GIL, reason="nobody may read where a thread is that runs")
def test_who_is_moved_in_while_it_computes_is_frozen(where: Any) -> None:
    with counting(by_nothing) as one:
        with one.freezer.hold(group="a", where=where, timeout=WAIT):
            one.goes_on()
            one.registrations[0].move("a")
            one.is_held()
        one.goes_on()


@pytest.mark.parametrize("back", [False, True])
def test_who_is_moved_out_goes_on_and_is_frozen_anew_when_it_is_moved_back(
    back: bool, where: Any
) -> None:
    with counting(by_move) as one:
        one.go.set()
        one.goes_on()
        with one.freezer.hold(group="a", where=where, timeout=WAIT) as hold:
            one.is_held()
            one.registrations[0].move("b")
            one.goes_on()
            assert groups_of(one.freezer, State.RUNNING) == ["b"]
            assert hold.threads == ()
            if back and HAS_GIL:
                one.registrations[0].move("a")
                one.is_held()
        one.goes_on()


def test_who_comes_in_while_the_others_are_counted_is_frozen(
    monkeypatch: pytest.MonkeyPatch, where: Any
) -> None:
    """1. a look finds nobody of the group who has yet to arrive
    2. a thread comes in, and sees that not all have arrived by then
    3. the look has ended: all have arrived
    4. the thread goes on
    """
    with counting(by_move) as one:
        pause = Pause()

        def have_it_come_in(*_: object) -> None:
            one.go.set()
            pause.wait()

        after(monkeypatch, Bar, "follow", pause)
        before(monkeypatch, Bar, "_all_wait", have_it_come_in)
        with one.freezer.hold(group="a", where=where, timeout=WAIT):
            pause.go()
            one.is_held()
            assert one.count == 0
        one.goes_on()


@pytest.mark.parametrize("registered", [True, False])
def test_who_has_arrived_is_in_the_world_before_it_stands(
    monkeypatch: pytest.MonkeyPatch, where: Any, registered: bool
) -> None:
    """
    1. a thread arrives, and has yet to come into the refrigerator
    2. the freeze stands, and its world shows the thread with what it has pending
    """
    freezer, ready, over = Freezer(), threading.Event(), threading.Event()

    def work() -> None:
        with freezer.register() if registered else nullcontext(), freezer.pending("tx"):
            ready.set()
            while not over.is_set():
                spin()

    worker = start(work, name="arrives")
    wait_for(ready)
    arrived = Pause(worker)
    before(monkeypatch, Bar, "stand", arrived)
    with freezer.freeze(where=where, timeout=WAIT) as world:
        arrived.wait()
        shown = [info.name for info in world.threads], [one.kind for one in world.pending]
        arrived.go()
        over.set()
    worker.finish()
    assert shown == (["arrives"], ["tx"])


def test_who_is_moved_out_on_its_way_goes_on(monkeypatch: pytest.MonkeyPatch, where: Any) -> None:
    """1. a thread has arrived, and has yet to stand
    2. it is moved out, and nothing is asked of it by then
    3. it goes on into the refrigerator
    """
    with counting(by_move) as one:
        one.go.set()
        one.goes_on()
        pause = Pause(one.worker)

        def on_its_way(bar: Bar, ident: int) -> None:
            if ident in bar.stopped:
                pause()

        before(monkeypatch, Bar, "_join", on_its_way)
        with one.freezer.hold(group="a", where=where, timeout=WAIT):
            pause.wait()
            one.registrations[0].move("b")
            pause.go()
            one.goes_on()


def test_who_is_moved_out_while_it_is_counted_goes_on(
    monkeypatch: pytest.MonkeyPatch, where: Any
) -> None:
    """The same of one in a call of C, which the controller counts."""
    freezer = Freezer("newcomers")
    moves = iter(["b"])
    with puppet(freezer, "a") as thread:

        def move_out(*_: object) -> None:
            for group in moves:
                start_own(thread.registration.move, group).finish()

        before(monkeypatch, Word, "ask", move_out)
        with freezer.hold(group="a", where=where, timeout=WAIT) as hold:
            assert hold.threads == ()
            thread.do(spin)


def test_two_that_come_in_at_once_are_frozen(where: Any) -> None:
    with counting(by_move) as one:
        both: list[Registration] = []
        counts = [0]

        def come_in_too() -> None:
            both.append(one.freezer.register(group="c"))
            wait_for(one.go)
            both[0].move("a.b")
            while not one.over:
                counts[0] += 1

        other = start(come_in_too)
        wait_until(lambda: bool(both))
        with one.freezer.hold(group="a", where=where, timeout=WAIT) as hold:
            one.go.set()
            wait_until(lambda: frozen_groups(one.freezer) == ["a", "a.b"])
            assert (one.count, counts) == (0, [0])
            assert len(hold.threads) == 2
        one.goes_on()
        wait_until(lambda: counts != [0])
    other.finish()
