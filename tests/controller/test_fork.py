"""Promise 10: the child of a fork finds a working freezer that knows the forking thread alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from fork_helpers import (
    Fork,
    check_alone,
    check_works,
    forked,
    freeze_that_waits,
    had_by_another,
    in_child,
    looping,
    state_of,
    waiting,
)
from freezethreads import Freezer, State
from helpers import WAIT, start, wait_for

Inside = Callable[[Freezer], AbstractContextManager[Any]]

# Where the forking thread stands: these blocks are left in the child as well.
INSIDE: dict[str, Inside] = {
    "nothing": lambda freezer: nullcontext(),
    "its world": lambda freezer: freezer.freeze(timeout=WAIT),
    "its hold": lambda freezer: freezer.hold(timeout=WAIT),
    "blocking": lambda freezer: freezer.blocking(),
    "no_freeze": lambda freezer: freezer.no_freeze(),
}

# What other threads do meanwhile.
OTHERS: dict[str, Inside] = {
    "run": lambda freezer: looping(freezer, "loop"),
    "wait": waiting,
    "have todos": lambda freezer: waiting(freezer, todos=3),
}


def fork_among(freezer: Freezer, inside: Inside, others: Inside, registered: bool) -> None:
    """Fork in one block while another lasts; check the child, and that the parent is unharmed."""

    def body(fork: Fork) -> None:
        with inside(freezer):
            fork()

    with freezer.register("forker") if registered else nullcontext():
        with others(freezer):
            before = freezer.threads()
            forked(body, lambda: check_alone(freezer, registered))
            assert [i.ident for i in freezer.threads()] == [i.ident for i in before]
        assert not freezer.armed
        check_works(freezer, registered)


@pytest.mark.parametrize("registered", [True, False], ids=["registered", "unregistered"])
@pytest.mark.parametrize("others", OTHERS)
@pytest.mark.parametrize("inside", INSIDE)
def test_fork(inside: str, others: str, registered: bool) -> None:
    fork_among(Freezer(), INSIDE[inside], OTHERS[others], registered)


@pytest.mark.parametrize("registered", [True, False], ids=["registered", "unregistered"])
@pytest.mark.parametrize("inside", INSIDE)
def test_fork_by_another_thread_than_the_main_one(inside: str, registered: bool) -> None:
    freezer = Freezer()
    forker = start(fork_among, freezer, INSIDE[inside], OTHERS["run"], registered)
    forker.finish(3 * WAIT)


@pytest.mark.parametrize("registered", [True, False], ids=["registered", "unregistered"])
@pytest.mark.parametrize("inside", ["nothing", "no_freeze"])
def test_fork_while_another_thread_freezes(inside: str, registered: bool) -> None:
    fork_among(Freezer(), INSIDE[inside], freeze_that_waits, registered)


STOPS: dict[str, Inside] = {
    "freeze": lambda freezer: had_by_another(lambda: freezer.freeze(timeout=WAIT)),
    "hold": lambda freezer: had_by_another(lambda: freezer.hold(timeout=WAIT)),
    "freeze that waits": freeze_that_waits,
}


@pytest.mark.parametrize("stop", STOPS)
def test_fork_of_an_unregistered_thread_while_others_are_stopped(stop: str) -> None:
    freezer = Freezer()
    with looping(freezer, "loop"):
        fork_among(freezer, INSIDE["nothing"], STOPS[stop], registered=False)


@pytest.mark.parametrize("stop", STOPS)
def test_fork_in_a_blocking_region_while_frozen_there(stop: str) -> None:
    freezer = Freezer()
    me = threading.current_thread()

    def body(fork: Fork) -> None:
        with freezer.blocking(), STOPS[stop](freezer):
            assert state_of(freezer, me) is State.FROZEN
            fork()
            assert state_of(freezer, me) is (State.BLOCKED if in_child() else State.FROZEN)

    with freezer.register("forker"):
        forked(body, lambda: check_alone(freezer, registered=True))


@pytest.mark.parametrize("registered", [True, False], ids=["registered", "unregistered"])
def test_fork_in_run_frozen(registered: bool) -> None:
    freezer = Freezer()

    def body(fork: Fork) -> None:
        pid = freezer.run_frozen(fork, timeout=WAIT)
        assert in_child() is (pid == 0)

    with freezer.register() if registered else nullcontext(), looping(freezer, "loop"):
        forked(body, lambda: check_alone(freezer, registered))


def test_the_parents_world_outlives_the_fork() -> None:
    freezer = Freezer()

    def body(fork: Fork) -> None:
        with freezer.freeze(timeout=WAIT) as world:
            fork()
            if not in_child():
                assert [info.state for info in world.threads] == [State.FROZEN]
                assert world.call(worker, threading.get_ident) == worker.ident

    with looping(freezer, "loop") as worker:
        forked(body, lambda: check_alone(freezer, registered=False))


def test_nested_forks() -> None:
    freezer = Freezer()

    def again(fork: Fork) -> None:
        with freezer.freeze(timeout=WAIT), looping(Freezer(), "another freezer's"):
            fork()

    def check_child() -> None:
        check_alone(freezer, registered=True)
        with looping(freezer, "child's") as worker:
            assert freezer.todo(worker, os.getpid).result(WAIT) == os.getpid()

    with freezer.register():
        forked(again, check_child)


def test_fork_in_a_todo_leaves_the_other_todos_to_the_parent() -> None:
    freezer = Freezer()
    me = threading.current_thread()
    ran: list[int] = []

    def body(fork: Fork) -> None:
        freezer.todo(me, fork)
        freezer.todo(me, lambda: ran.append(os.getpid()))
        freezer.safepoint()

    def check() -> None:
        assert ran == []
        check_alone(freezer, registered=True)

    with freezer.register():
        forked(body, check)
    assert ran == [os.getpid()]


def test_fork_in_a_call_of_a_world() -> None:
    """The forking thread stands in the refrigerator, and the child is thawed."""
    freezer = Freezer()
    up, ended = threading.Event(), threading.Event()
    forks: list[Fork] = []

    def body(fork: Fork) -> None:
        forks.append(fork)
        up.set()
        while not ended.is_set() and not in_child():
            freezer.safepoint()

    def work() -> None:
        with freezer.register():
            forked(body, lambda: check_alone(freezer, registered=True))

    worker = start(work)
    wait_for(up)
    with freezer.freeze(timeout=WAIT) as world:
        world.call(worker, forks[0])
    ended.set()
    worker.finish(3 * WAIT)


def test_todos_of_the_parent_end_in_the_child() -> None:
    """Nobody is left to make them, so none of their futures may be waited for in vain."""
    freezer = Freezer()

    def check() -> None:
        for future in futures:
            assert future.exception(0) is not None

    with freezer.register(), waiting(freezer):
        futures = freezer.todo_all(int)
        assert len(futures) == 2
        forked(lambda fork: fork(), check)
        assert not any(future.done() for future in futures)
        freezer.safepoint()
    assert [future.result(WAIT) for future in futures] == [0, 0]
