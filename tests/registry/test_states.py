"""The table of states: every move is in it or raises, and what raises changes nothing."""

from __future__ import annotations

import itertools
import threading

import pytest

from freezethreads import FreezeError, Freezer, State
from freezethreads._registry.states import MOVES, Mover, check_move
from freezing import puppet
from helpers import WAIT

# Once more, from the diagram of the design: the table must not be its own witness.
DIAGRAM = {
    ("RUNNING", "BLOCKED", "THREAD"),
    ("BLOCKED", "RUNNING", "THREAD"),
    ("RUNNING", "EXITED", "THREAD"),
    ("BLOCKED", "FROZEN", "CONTROLLER"),
    ("FROZEN", "BLOCKED", "CONTROLLER"),
    ("FROZEN", "RUNNING", "CONTROLLER"),
}


def test_the_table_is_the_diagram() -> None:
    assert {(old.name, new.name, mover.name) for old, new, mover in MOVES} == DIAGRAM


@pytest.mark.parametrize(("old", "new", "mover"), list(itertools.product(State, State, Mover)))
def test_each_move_is_in_the_table_or_raises(old: State, new: State, mover: Mover) -> None:
    if (old.name, new.name, mover.name) in DIAGRAM:
        check_move(old, new, mover)
        return
    with pytest.raises(FreezeError, match=f"{old.name} cannot be made {new.name} by .*nothing"):
        check_move(old, new, mover)


def test_a_thread_goes_through_all_states() -> None:
    freezer = Freezer()
    over = threading.Event()
    with puppet(freezer) as thread:
        record = thread.record
        seen = [record.state]
        region = thread.block(over)
        seen.append(record.state)
        with freezer.freeze(timeout=WAIT):
            seen.append(record.state)
        seen.append(record.state)
        over.set()
        region.result(WAIT)
        seen.append(record.state)
    assert seen == [State.RUNNING, State.BLOCKED, State.FROZEN, State.BLOCKED, State.RUNNING]
    assert record.state is State.EXITED


def test_the_thaw_makes_a_parked_thread_running_before_it_has_woken() -> None:
    freezer = Freezer()
    stop = threading.Event()
    with puppet(freezer) as thread:
        passing = thread.pass_safepoints(stop)
        for _ in range(100):
            world = freezer.freeze(timeout=WAIT)
            states = [thread.record.state]
            world.thaw()
            states.append(thread.record.state)
            assert states == [State.FROZEN, State.RUNNING]
        stop.set()
        passing.result(WAIT)


def test_a_freeze_that_is_only_asked_for_freezes_nobody() -> None:
    freezer = Freezer()
    with puppet(freezer, "a") as thread:
        with pytest.raises(FreezeError):
            freezer.freeze(timeout=0)
        assert thread.record.state is State.RUNNING
        hold = thread.do(freezer.hold, group="a")
        assert thread.record.state is State.RUNNING
        hold.thaw()
