"""What bug reports tell of many at once: todos for a frozen thread, threads that register."""

from __future__ import annotations

import threading

import pytest

from freezethreads import Freezer, State, sync
from freezethreads._ground.arguments import Where
from freezethreads._ground.completion import Bell
from freezing import Puppet, before, looping, puppet
from helpers import WAIT, start, wait_until
from peers.looking import freezer_of, witness


class Again:
    """A todo that adds itself again each time it is made, until it is over."""

    def __init__(self, freezer: Freezer, over: threading.Event) -> None:
        self.made = 0
        self._freezer = freezer
        self._over = over

    def __call__(self) -> None:
        self.made += 1
        if not self._over.is_set():
            self._freezer.todo(threading.get_ident(), self)


def add_while_frozen(freezer: Freezer, thread: Puppet, todos: list[Again]) -> None:
    """Add these to a frozen thread. None is made, and it does not spin for them."""
    woken: list[int] = []

    def note(*_: object) -> None:
        if threading.current_thread() is thread.worker:
            woken.append(1)

    assert thread.record.state is State.FROZEN
    with pytest.MonkeyPatch.context() as patch, witness() as others:
        before(patch, Bell, "wait", note)
        for todo in todos:
            freezer.todo(thread.worker, todo)
        others.progress()
    assert not any(todo.made for todo in todos), "a frozen thread has made a todo"
    assert len(woken) <= 2, f"a frozen thread was woken {len(woken)} times for {len(todos)} todos"
    assert thread.record.state is State.FROZEN


def flood_parked(todos: int, visits: int = 5) -> None:
    """So many todos, each of which adds itself again, for a thread parked at a safepoint.

    Each visit to a safepoint makes each of them once, and the thread goes on.
    """
    freezer = Freezer("flood")
    over, thawed = threading.Event(), threading.Event()
    again = [Again(freezer, over) for _ in range(todos)]
    with puppet(freezer) as thread:
        passing = thread.pass_safepoints(thawed)
        with freezer.hold(timeout=WAIT):
            add_while_frozen(freezer, thread, again)
            thawed.set()
        passing.result(WAIT)
        for visit in range(1, visits):
            assert [todo.made for todo in again] == [visit] * todos
            thread.do(freezer.safepoint)
        over.set()
        thread.do(freezer.safepoint)
    assert not freezer.armed


def flood_waiting(todos: int) -> None:
    """The same for one in a freezable wait, which makes them there. It can still be frozen, and its
    wait still ends."""
    freezer = Freezer("flood")
    over, opened = threading.Event(), sync.Event()
    again = [Again(freezer, over) for _ in range(todos)]
    with puppet(freezer) as thread:
        waiting = thread.tell(opened.wait)
        wait_until(lambda: thread.record.state is State.BLOCKED)
        with freezer.hold(timeout=WAIT):
            add_while_frozen(freezer, thread, again)
        wait_until(lambda: all(todo.made > 1 for todo in again))
        with freezer.freeze(timeout=WAIT):
            made = [todo.made for todo in again]
            with witness() as others:
                others.progress()
            assert [todo.made for todo in again] == made
        opened.set()
        assert waiting.result(WAIT)
        over.set()
        thread.do(freezer.safepoint)
    assert not freezer.armed


def register_during_freeze(threads: int, where: Where = "safepoint") -> None:
    """So many threads register while the world stands: each is in it, and runs after the thaw."""
    freezer = freezer_of("register", where)
    ran = [False] * threads

    def run(index: int) -> None:
        with freezer.register(group="a"):
            ran[index] = True

    with looping(freezer, 1, "a"), freezer.freeze(timeout=WAIT, group="a") as world:
        newcomers = [start(run, index) for index in range(threads)]
        wait_until(lambda: len(world.threads) == threads + 1)
        assert {info.state for info in world.threads} == {State.FROZEN}
        assert not any(ran)
    for thread in newcomers:
        thread.finish()
    assert all(ran)
