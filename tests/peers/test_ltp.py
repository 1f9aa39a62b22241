"""LTP's freezer tests: testcases/kernel/controllers/freezer.

Stopped between two bytecodes, nobody holds back half-way who waits in C; and a hold of its own
group lets its thread go on.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator

import pytest

from fork_helpers import state_of
from freezethreads import Freezer, State, sync
from freezethreads._ground.arguments import Where
from freezing import Loops, Puppet, looping, puppet, puppets
from helpers import WAIT, wait_until
from machine import ANYWHERE
from peers import bombs, cancels
from peers.looking import check_still, freezer_of, frozen_groups, groups_of, stands, witness
from sync_clock import Clock, begin, turn_over


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("ltp")


@pytest.fixture
def others() -> Iterator[Loops]:
    with witness() as loops:
        yield loops


def test_freeze_thaw(others: Loops, where: Where) -> None:
    """freeze_thaw.sh: one cycle, and the process is alive and runs."""
    freezer = freezer_of("ltp", where)
    with looping(freezer, 1, "a") as loops:
        hold = freezer.hold(group="a", timeout=WAIT)
        check_still(loops, others)
        hold.thaw()
        loops.progress()
        assert loops.threads[0].is_alive()


@pytest.mark.parametrize("cancel", [cancels.by_time_out, cancels.by_signal, cancels.by_close])
def test_freeze_cancel(
    freezer: Freezer, cancel: Callable[[Freezer, Callable[[], None]], None]
) -> None:
    """freeze_cancel.sh: a freeze is cancelled, when some have stopped and one has not.

    1. three threads have stopped, one in a region and two at safepoints; a fourth holds back
    2. the freeze is cancelled
    3. all four run, and can be frozen
    """
    over = threading.Event()

    def half_way() -> None:
        wait_until(lambda: frozen_groups(freezer) == ["stops", "stops", "waits"])
        assert groups_of(freezer, State.RUNNING) == ["late"]

    with looping(freezer, 2, "stops") as loops, puppets(freezer, "late", "waits") as threads:
        late, waiting = threads
        region = waiting.block(over)
        cancel(freezer, half_way)
        assert not freezer.armed
        loops.progress()
        passing = late.pass_safepoints(over)
        with freezer.freeze(timeout=WAIT):
            assert frozen_groups(freezer) == ["late", "stops", "stops", "waits"]
        over.set()
        region.result(WAIT)
        passing.result(WAIT)


def ask_by_flag(thread: Puppet, stop: threading.Event) -> None:
    """A flag that the thread looks at after each safepoint."""
    stop.set()


def ask_by_exception(thread: Puppet, stop: threading.Event) -> None:
    """An asynchronous exception: what is nearest to a kill."""
    ident = ctypes.c_ulong(thread.worker.ident or 0)
    assert (
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(cancels.Cancelled)) == 1
    )


@pytest.mark.parametrize("ask", [ask_by_flag, ask_by_exception])
def test_freeze_kill_thaw(
    others: Loops, where: Where, ask: Callable[[Puppet, threading.Event], None]
) -> None:
    """freeze_kill_thaw.sh: a stop request to a frozen process works right after the thaw."""
    freezer = freezer_of("ltp", where)
    stop, ended = threading.Event(), threading.Event()
    work: list[int] = []

    def loop() -> None:
        try:
            while not stop.is_set():
                work.append(1)
                freezer.safepoint()
        except cancels.Cancelled:
            pass
        finally:
            ended.set()

    with puppet(freezer) as thread:
        looped = thread.tell(loop)
        wait_until(lambda: bool(work))
        with freezer.freeze(timeout=WAIT):
            wait_until(lambda: stands(freezer, thread.worker))
            done, bell = len(work), thread.record.parking.bell
            wait_until(bell._lock.locked)  # it waits
            ask(thread, stop)
            bell.ring()  # it wakes, and hears of the exception
            wait_until(bell._lock.locked)
            others.progress()
            assert not ended.is_set()
            assert state_of(freezer, thread.worker) is State.FROZEN
        looped.result(WAIT)
        # (Between two bytecodes it may stand after it has looked at the flag.)
        assert len(work) - done <= (where != "safepoint"), "it went on for a while"


def test_freeze_self_thaw(freezer: Freezer, others: Loops) -> None:
    """freeze_self_thaw.sh: a process freezes its own group, and another one thaws it."""
    with looping(freezer, 2, "a") as loops, puppet(freezer, "a") as thread:
        hold = thread.do(freezer.hold, group="a", timeout=WAIT)
        assert groups_of(freezer, State.RUNNING) == ["a"]
        passing = thread.tell(freezer.safepoint)
        freezer.freeze(timeout=WAIT).thaw()
        assert frozen_groups(freezer) == ["a", "a", "a"]
        check_still(loops, others)
        assert not passing.done()
        hold.thaw()
        passing.result(WAIT)
        loops.progress()


def test_freeze_sleep_thaw(monkeypatch: pytest.MonkeyPatch, where: Where) -> None:
    """freeze_sleep_thaw.sh: a sleep that ends while frozen returns at the thaw, at once."""
    freezer = freezer_of("ltp", where)
    clock = Clock(monkeypatch)
    with puppet(freezer) as thread:
        sleeping = begin(monkeypatch, thread, sync.sleep, 5.0)
        with freezer.freeze(timeout=WAIT) as world:
            clock.advance(6)
            turn_over(world)
            assert not sleeping.done()
            assert thread.record.state is State.FROZEN
        sleeping.result(WAIT)  # and the clock stands


@pytest.mark.parametrize("where", ["safepoint", ANYWHERE])
def test_fork_freeze(where: Where) -> None:
    """fork_freeze.sh: processes that fork for four seconds, frozen after half a second; thawed."""
    bombs.fork_freeze(12, 0.1, 0.02, where)
