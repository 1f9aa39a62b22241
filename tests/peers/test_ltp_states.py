"""LTP's freezer tests: transitions that do not exist, and processes that are stopped already.

Stopped between two bytecodes, a thread does not go from one wait to another within a region, nor
make those turns in a freezable wait that a rigged clock makes here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from fork_helpers import check_works
from freezethreads import FreezeError, Freezer, State, sync
from freezethreads._ground.arguments import Where
from freezing import Puppet, at_bell, puppet
from helpers import WAIT, wait_for, wait_until
from peers.looking import freezer_of, stands
from sync_clock import Clock, begin, turn_over


@pytest.fixture
def freezer(where: Where) -> Freezer:
    return freezer_of("ltp", where)


def leave_region(own: Puppet) -> None:
    """One that it has not entered."""
    own.freezer.blocking().__exit__(None, None, None)


def leave_no_freeze(own: Puppet) -> None:
    """One that it has not entered."""
    own.freezer.no_freeze().__exit__(None, None, None)


def register(own: Puppet) -> None:
    """Once more."""
    own.freezer.register()


def unregister(own: Puppet) -> None:
    """Before it runs again."""
    own.freezer.unregister()


def move(own: Puppet) -> None:
    """Before it runs again."""
    own.registration.move("elsewhere")


Move = Callable[[Puppet], None]

ILLEGAL: list[tuple[State, Move]] = [
    (State.RUNNING, leave_region),
    (State.RUNNING, leave_no_freeze),
    (State.RUNNING, register),
    (State.BLOCKED, leave_no_freeze),
    (State.BLOCKED, register),
    (State.BLOCKED, unregister),
    (State.BLOCKED, move),
    (State.FROZEN, leave_region),
    (State.FROZEN, register),
    (State.FROZEN, unregister),
    (State.FROZEN, move),
]


def be_running(thread: Puppet, attempt: Callable[[], State]) -> State:
    """Make the attempt while it runs."""
    return thread.do(attempt)


def be_blocked(thread: Puppet, attempt: Callable[[], State]) -> State:
    """The same from inside a region."""

    def attempt_in_region() -> State:
        with thread.freezer.blocking():
            return attempt()

    return thread.do(attempt_in_region)


def be_frozen(thread: Puppet, attempt: Callable[[], State]) -> State:
    """The same in the refrigerator, where a world has it make the attempt."""
    over = threading.Event()
    passing = thread.pass_safepoints(over)
    try:
        with thread.freezer.freeze(timeout=WAIT) as world:
            wait_until(lambda: stands(thread.freezer, thread.worker))
            over.set()
            state = world.call(thread.worker, attempt)
            assert not passing.done()
            return state
    finally:
        over.set()


IN_STATE = {State.RUNNING: be_running, State.BLOCKED: be_blocked, State.FROZEN: be_frozen}


@pytest.mark.parametrize(("state", "move"), ILLEGAL)
def test_write_freezing(freezer: Freezer, state: State, move: Move) -> None:
    """write_freezing.sh, freeze_write_freezing.sh: an illegal transition is refused, and no more.

    There the word FREEZING is written to a group that is thawed, or frozen. It stays what it is.
    """

    def attempt() -> State:
        before = look()
        with pytest.raises(FreezeError):
            move(thread)
        assert look() == before
        return before[0]

    def look() -> tuple[State, str]:
        (info,) = freezer.threads()
        return info.state, info.group

    with puppet(freezer, "a") as thread:
        assert IN_STATE[state](thread, attempt) is state
        assert thread.do(look) == (State.RUNNING, "a")
        thread.do(freezer.unregister)
        thread.registration = thread.do(freezer.register)
    check_works(freezer, registered=False)


def stop_in_region(thread: Puppet, signal: sync.Event) -> None:
    """By a blocking region."""
    with thread.freezer.blocking():
        assert threading.Event.wait(signal, WAIT)


def stop_in_wait(thread: Puppet, signal: sync.Event) -> None:
    """By a freezable wait."""
    assert signal.wait(WAIT)


def go_on(thread: Puppet, stopped: Future[Any], signal: sync.Event) -> None:
    """It is stopped as it was before the freeze, and its own signal is what lets it go on."""
    assert thread.record.state is State.BLOCKED
    thread.freezer.freeze(timeout=WAIT).thaw()
    assert thread.record.state is State.BLOCKED
    assert not stopped.done()
    signal.set()
    stopped.result(WAIT)


@pytest.mark.parametrize("stop", [stop_in_region, stop_in_wait])
def test_stop_freeze_thaw_cont(
    freezer: Freezer, stop: Callable[[Puppet, sync.Event], None]
) -> None:
    """stop_freeze_thaw_cont.sh: stopped by a signal, frozen, thawed: it waits for its SIGCONT."""
    signal = sync.Event()
    with puppet(freezer) as thread:
        stopped = thread.tell(stop, thread, signal)
        wait_until(lambda: thread.record.state is State.BLOCKED)
        with freezer.freeze(timeout=WAIT):
            assert thread.record.state is State.FROZEN
        go_on(thread, stopped, signal)


@pytest.mark.parametrize("where", ["safepoint"])
def test_stop_freeze_sleep_thaw_cont(freezer: Freezer) -> None:
    """stop_freeze_sleep_thaw_cont.sh: the same, and the process's own sleep ends meanwhile.

    Here in a region, in which it may go from the one to the other while it is frozen.
    """
    slept, signal = threading.Event(), sync.Event()

    def sleep_stopped() -> None:
        with freezer.blocking():
            wait_for(sleep_over)
            slept.set()
            wait_for(signal)

    sleep_over = threading.Event()
    with puppet(freezer) as thread:
        stopped = thread.tell(sleep_stopped)
        wait_until(lambda: thread.record.state is State.BLOCKED)
        with freezer.freeze(timeout=WAIT):
            sleep_over.set()
            wait_for(slept)
            assert thread.record.state is State.FROZEN
        go_on(thread, stopped, signal)


@pytest.mark.parametrize("where", ["safepoint"])
def test_stop_freeze_sleep_thaw_cont_freezable(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with freezable waits: from the first it gets to the other after the thaw."""
    slept, signal = threading.Event(), sync.Event()

    def sleep_and_stop() -> None:
        sync.sleep(5.0)
        slept.set()
        signal.wait()

    clock = Clock(monkeypatch)
    with puppet(freezer) as thread:
        stopped = begin(monkeypatch, thread, sleep_and_stop)
        with freezer.freeze(timeout=WAIT) as world:
            clock.advance(6)
            turn_over(world)
            assert not slept.is_set()
            assert thread.record.state is State.FROZEN
            waits = at_bell(monkeypatch, thread.worker)
        wait_for(slept)
        wait_for(waits)
        go_on(thread, stopped, signal)
