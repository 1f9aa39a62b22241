"""The bug reports of such systems: the todo patch for the kernel's freezer of 2005, and its heirs.

As it was mailed, the patch looked at the caller's list instead of the target's, counted in the
wrong direction, and left its request behind after a time-out. All of that is of threads that have
yet to come to a safepoint: between two bytecodes nothing is on their lists, and each is always at
one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from freezethreads import Freezer, FreezeTimeout, State
from freezethreads._controller.controller import Controller
from freezethreads._ground.arguments import Where
from freezethreads._ground.completion import Completion
from freezethreads._refrigerator import refrigerator as refrigerator_module
from freezethreads._registry.requests import Freeze
from freezethreads._registry.todos import Todo
from freezing import Pause, Puppet, actor, at_bell, before, puppet, puppets
from helpers import WAIT, wait_for, wait_until
from in_steps import Request
from machine import needs_monitoring
from peers import floods
from peers.looking import freezer_of, frozen_groups


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("todos")


def test_2005_the_list_is_the_targets(freezer: Freezer) -> None:
    """The patch looked at the list of the thread that asks. Here each has its own: a todo or a
    freeze is found by its target, and what is on the asker's list stays there meanwhile."""
    over = threading.Event()
    with puppets(freezer, "asker", "target") as (asker, target):
        own = asker.do(freezer.todo, asker.worker, threading.get_ident)
        asked = asker.do(freezer.todo, target.worker, threading.get_ident)
        target.do(freezer.safepoint)
        assert asked.result(0) == target.worker.ident
        passing = target.pass_safepoints(over)
        with asker.do(freezer.freeze, timeout=WAIT):
            assert frozen_groups(freezer) == ["target"]
            assert not own.done()
            asker.do(freezer.safepoint)
            assert own.result(0) == asker.worker.ident
        over.set()
        passing.result(WAIT)


def test_2005_all_are_counted(freezer: Freezer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The patch counted up where it had to count down. Here a freeze of three returns with the
    third one that stops, not before, and the thaw lets three go."""
    with puppets(freezer, "a", "b", "c") as threads, actor() as controller:
        waits = at_bell(monkeypatch, controller.worker)
        freezing = controller.tell(freezer.freeze, timeout=WAIT)
        wait_for(waits)
        (freeze,) = freezer._registry.active
        passing: list[Future[None]] = []
        for stopped in range(3):
            wait_until(lambda: len(frozen_groups(freezer)) == len(passing))
            waits = at_bell(monkeypatch, controller.worker)
            freeze.bell.ring()
            wait_for(waits)  # it has counted again
            assert not freezing.done()
            passing.append(threads[stopped].tell(freezer.safepoint))
        with freezing.result(WAIT):
            assert frozen_groups(freezer) == ["a", "b", "c"]
            assert not any(future.done() for future in passing)
        for future in passing:
            future.result(WAIT)


def by_freeze(freezer: Freezer) -> None:
    with pytest.raises(FreezeTimeout):
        freezer.freeze(timeout=0)


def by_hold(freezer: Freezer) -> None:
    with pytest.raises(FreezeTimeout):
        freezer.hold(timeout=0)


def by_request(freezer: Freezer) -> None:
    with pytest.raises(FreezeTimeout):
        Request(freezer, timeout=0).take()


@pytest.mark.parametrize("time_out", [by_freeze, by_hold, by_request])
def test_2005_nothing_is_left_behind(freezer: Freezer, time_out: Callable[[Freezer], None]) -> None:
    """The patch left its request on the list after a time-out, and the next safepoint parked a
    thread that nobody was waiting for."""
    over = threading.Event()
    with puppet(freezer, "late") as thread:
        time_out(freezer)
        assert not freezer.armed
        freezer._registry.announce(over)  # so that the safepoint looks at the list
        thread.do(freezer.safepoint)
        freezer._registry.settle(over)
        passing = thread.pass_safepoints(over)
        with freezer.freeze(timeout=WAIT):
            assert frozen_groups(freezer) == ["late"]
        over.set()
        passing.result(WAIT)


def test_2005_a_stale_request_parks_nobody(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a thread that has found it already.

    1. a thread finds a freeze on its list, and has not parked
    2. the time is out, and the freeze is given up
    3. the thread goes on into the refrigerator
    """
    with puppet(freezer) as thread, actor() as controller:
        counts, pause = Pause(controller.worker), Pause(thread.worker)
        before(monkeypatch, Controller, "all_stand", counts)
        freezing = controller.tell(freezer.freeze, timeout=0)
        counts.wait()
        before(monkeypatch, refrigerator_module, "_get_ready", pause)
        passing = thread.tell(freezer.safepoint)
        pause.wait()
        counts.go()
        assert isinstance(freezing.exception(WAIT), FreezeTimeout)
        pause.go()
        passing.result(WAIT)
        assert thread.record.state is State.RUNNING


def pass_safepoint(thread: Puppet, over: threading.Event) -> None:
    """The thread stops at a safepoint."""
    wait_for(over)
    thread.freezer.safepoint()


def leave_region(thread: Puppet, over: threading.Event) -> None:
    """The thread stops at the end of a region."""
    with thread.freezer.blocking():
        wait_for(over)


@pytest.mark.parametrize("stop", [pass_safepoint, leave_region])
def test_2005_other_todos_wait_for_the_thaw(
    freezer: Freezer, stop: Callable[[Puppet, threading.Event], None]
) -> None:
    """A freeze goes before all todos that were pending when it came, whatever their priority; they
    are made after it, in their order."""
    order: list[str] = []
    over = threading.Event()
    with puppet(freezer, "a") as thread, actor() as controller:
        stopping = thread.tell(stop, thread, over)
        for name, priority in (("second", 5), ("third", 5), ("first", 9)):
            freezer.todo(thread.worker, order.append, name, priority=priority)
        freezing = controller.tell(freezer.freeze, timeout=WAIT)
        wait_until(lambda: thread.record.is_asked_to_stop)
        over.set()
        with freezing.result(WAIT):
            wait_until(lambda: parked(thread))
            assert order == []
            freezer.todo(thread.worker, order.append, "last")
        stopping.result(WAIT)
        assert order == ["first", "second", "third", "last"]


def parked(thread: Puppet) -> bool:
    """Whether it stands in the refrigerator, its own wait being over."""
    return thread.record.parking.word.value.stay is not None


def test_2005_to_freeze_again_right_after_a_thaw(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second freeze takes nobody for stopped who has yet to leave the first one.

    1. a thread is thawed and woken, and has not left the refrigerator
    2. it is frozen again: the freeze waits for it
    3. it leaves, runs as far as its next safepoint, and stops there
    """
    over = threading.Event()
    rounds: list[int] = []

    def loop() -> None:
        while not over.is_set():
            rounds.append(1)
            freezer.safepoint()

    with puppet(freezer) as thread, actor() as controller:
        looping = thread.tell(loop)
        first = freezer.freeze(timeout=WAIT)
        done = len(rounds)
        pause = Pause(thread.worker)
        before(monkeypatch, Completion, "leave", pause)
        first.thaw()
        pause.wait()
        waits = at_bell(monkeypatch, controller.worker)
        freezing = controller.tell(freezer.freeze, timeout=WAIT)
        wait_for(waits)
        assert thread.record.state is State.RUNNING
        assert not freezing.done()
        pause.go()
        with freezing.result(WAIT):
            assert len(rounds) == done + 1
        over.set()
        looping.result(WAIT)


class Exhausted(dict[Any, Any]):
    """A dict that has no memory left for the first request that is put into it."""

    def __init__(self, content: dict[Any, Any]) -> None:
        super().__init__(content)
        self._full = True

    def setdefault(self, key: Any, default: Any = None) -> Any:
        self._check(default)
        return super().setdefault(key, default)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._check(key)
        super().__setitem__(key, value)

    def _check(self, request: object) -> None:
        if self._full and isinstance(request, (Freeze, Todo, tuple)):
            self._full = False
            raise MemoryError


def exhaust(freezer: Freezer, thread: Puppet, name: str) -> None:
    """Let memory run out there; in `word` it does for the next value of the thread's."""
    if name == "word":
        status, after = thread.record.parking.word._last
        thread.record.parking.word._last = (status, Exhausted(after))
        return
    owner: Any = thread.record if name == "todo" else freezer._registry
    setattr(owner, name, Exhausted(getattr(owner, name)))


@pytest.mark.parametrize("at", [0, 2])
@pytest.mark.parametrize(
    ("where", "name"),
    [
        *[("safepoint", name) for name in ("pending", "active", "word")],
        pytest.param("anywhere", "pending", marks=needs_monitoring),
        pytest.param("anywhere", "active", marks=needs_monitoring),
    ],
)
@pytest.mark.parametrize("kind", ["freeze", "hold"])
def test_2005_out_of_memory_while_freezes_are_posted(
    where: Where, kind: str, name: str, at: int
) -> None:
    """Some threads have been asked to stop, perhaps all but one, and then no memory is left to ask
    the next. Nobody stays asked, nobody stops, and the next freeze works."""
    freezer = freezer_of("todos", where)
    over = threading.Event()
    with puppets(freezer, "a", "b", "c") as threads:
        exhaust(freezer, threads[at], name)
        with pytest.raises(MemoryError):
            getattr(freezer, kind)(timeout=WAIT)
        assert not freezer.armed
        for thread in threads:
            assert not thread.record.is_asked
            thread.do(freezer.safepoint)
        passing = [thread.pass_safepoints(over) for thread in threads]
        with getattr(freezer, kind)(timeout=WAIT):
            assert frozen_groups(freezer) == ["a", "b", "c"]
        over.set()
        for future in passing:
            future.result(WAIT)


@pytest.mark.parametrize("name", ["pending", "todo"])
def test_2005_out_of_memory_while_a_todo_is_posted(freezer: Freezer, name: str) -> None:
    """The asker is told, nothing stays asked, and the next todo is made."""
    with puppet(freezer) as thread:
        exhaust(freezer, thread, name)
        with pytest.raises(MemoryError):
            freezer.todo(thread.worker, int)
        assert not freezer.armed
        assert not thread.record.is_asked
        again = freezer.todo(thread.worker, int)
        thread.do(freezer.safepoint)
        assert again.result(0) == 0


@pytest.mark.parametrize("todos", [1, 100])
@pytest.mark.parametrize("flood", [floods.flood_parked, floods.flood_waiting])
def test_todos_that_add_themselves_again(flood: Callable[[int], None], todos: int) -> None:
    """The kernel's task_work of July 2024: work that was added to a frozen task kept it spinning in
    its refrigerator, and work that adds itself again kept it from ever leaving."""
    flood(todos)
