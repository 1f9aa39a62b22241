"""blocking() and no_freeze(): nesting, sharing, and moves that are not allowed."""

from __future__ import annotations

import itertools
import threading
from contextlib import AbstractContextManager, ExitStack

import pytest

from freezethreads import FreezeError, Freezer, FreezeTimeout, State
from freezing import actor, puppet, puppets
from helpers import WAIT, wait_for


def regions(freezer: Freezer, nesting: tuple[str, ...]) -> list[AbstractContextManager[None]]:
    makers = {"b": freezer.blocking, "n": freezer.no_freeze}
    return [makers[kind]() for kind in nesting]


NESTINGS = [n for k in range(5) for n in itertools.product("bn", repeat=k)]


@pytest.mark.parametrize("nesting", NESTINGS)
def test_every_nesting_is_blocked_only_without_no_freeze(nesting: tuple[str, ...]) -> None:
    freezer = Freezer()
    with freezer.register():
        states = []
        with ExitStack() as stack:
            for region in regions(freezer, nesting):
                stack.enter_context(region)
                states.append(freezer.threads()[0].state)
        for depth, state in enumerate(states, 1):
            inside = nesting[:depth]
            assert state is (State.RUNNING if "n" in inside else State.BLOCKED), inside
        assert freezer.threads()[0].state is State.RUNNING
        with freezer.blocking():
            assert freezer.threads()[0].state is State.BLOCKED


def test_a_freeze_waits_for_the_end_of_no_freeze() -> None:
    freezer = Freezer()
    over, inside, stop = threading.Event(), threading.Event(), threading.Event()

    def region() -> None:
        with freezer.no_freeze(), freezer.blocking():
            inside.set()
            wait_for(over)
            freezer.safepoint()

    with puppet(freezer) as thread:
        done = thread.tell(region)
        wait_for(inside)
        with pytest.raises(FreezeTimeout):
            freezer.freeze(timeout=0.05)
        over.set()
        thread.pass_safepoints(stop)
        with freezer.freeze(timeout=WAIT):
            assert done.done()
        stop.set()


def test_one_region_may_be_used_by_several_threads_at_once() -> None:
    freezer = Freezer()
    region = freezer.blocking("shared")
    over = threading.Event()
    barrier = threading.Barrier(4)

    def wait_inside() -> None:
        for _ in range(3):
            with region:
                pass
        with region, region:
            barrier.wait(WAIT)
            wait_for(over)

    with puppets(freezer, "", "", "") as threads:
        waits = [thread.tell(wait_inside) for thread in threads]
        barrier.wait(WAIT)
        with freezer.freeze(timeout=WAIT) as world:
            assert {info.state for info in world.threads} == {State.FROZEN}
            over.set()
        for wait in waits:
            wait.result(WAIT)


@pytest.mark.parametrize("kind", ["blocking", "no_freeze"])
def test_leaving_a_region_that_was_not_entered_changes_nothing(kind: str) -> None:
    freezer = Freezer()
    stop = threading.Event()
    with puppet(freezer) as thread:
        region = getattr(freezer, kind)()
        with pytest.raises(FreezeError):
            thread.do(region.__exit__, None, None, None)
        passing = thread.pass_safepoints(stop)
        freezer.freeze(timeout=1).thaw()
        stop.set()
        passing.result(WAIT)


def test_a_thread_that_registers_inside_no_freeze_can_be_frozen_later() -> None:
    freezer = Freezer()
    stop, ready = threading.Event(), threading.Event()

    def run() -> None:
        try:
            with freezer.no_freeze():
                freezer.register()
        except FreezeError:
            pass  # it may refuse, as long as nothing is left behind
        ready.set()
        while not stop.is_set():
            freezer.safepoint()
        freezer.unregister()

    with actor() as thread:
        done = thread.tell(run)
        wait_for(ready)
        try:
            freezer.freeze(timeout=1).thaw()
        finally:
            stop.set()
        done.result(WAIT)


def test_one_cannot_leave_or_move_from_inside_a_region() -> None:
    freezer = Freezer()
    with freezer.register(group="a") as registration:
        with freezer.blocking():
            with pytest.raises(FreezeError):
                freezer.unregister()
            with pytest.raises(FreezeError):
                registration.move("b")
            assert freezer.threads()[0].state is State.BLOCKED
        assert freezer.threads()[0].group == "a"
        registration.move("b")
        assert freezer.threads()[0].group == "b"


def test_no_freeze_is_not_opened_by_moving_into_a_frozen_group() -> None:
    freezer = Freezer()

    def move() -> None:
        with freezer.no_freeze():
            thread.registration.move("held")

    with puppet(freezer, "free") as thread, freezer.hold(timeout=WAIT, group="held"):
        with pytest.raises(FreezeError):
            thread.do(move)
        assert thread.record.group == "free"
