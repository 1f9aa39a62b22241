"""What a thread executes that stands at a door, while threads are stopped between two bytecodes."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from freezethreads import Freezer, FreezeTimeout, State, sync
from freezethreads._machine import trap
from freezethreads._refrigerator import refrigerator
from freezing import actor, puppet, puppets
from helpers import WAIT, wait_for, wait_until
from machine import needs_monitoring

pytestmark = needs_monitoring


def collected() -> int:
    """Code of the program, as if the collector called it just before a thread waits for a thaw."""
    return threading.get_ident()


def bars() -> list[Any]:
    return list(trap.bars)


@pytest.fixture
def collects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refrigerator, "get_ident", collected)


@pytest.mark.usefixtures("collects")
def test_a_thread_that_stands_once_more_in_the_middle_goes_on(where: Any) -> None:
    freezer, on = Freezer(), threading.Event()
    with puppets(freezer, "a.held", "a.other") as (held, _), actor() as controller:
        passing = held.pass_safepoints(on)
        hold = freezer.hold(group="a.held", timeout=WAIT)
        world = controller.do(freezer.freeze, group="a", where=where, timeout=WAIT)
        hold.thaw()
        wait_until(lambda: held.record.ident in trap.inside())
        on.set()
        controller.do(world.thaw)
        passing.result(WAIT)


@pytest.mark.usefixtures("collects")
def test_so_it_does_while_others_have_yet_to_stop() -> None:
    freezer, over, on = Freezer(), threading.Event(), threading.Event()
    with puppets(freezer, "a.held", "a.busy") as (held, busy), actor() as controller:
        passing = held.pass_safepoints(on)
        hold = freezer.hold(group="a.held", timeout=WAIT)
        going = busy.wait_in(freezer.no_freeze(), over)
        frozen = controller.tell(freezer.freeze, group="a", where="anywhere", timeout=2 * WAIT)
        wait_until(lambda: any(held.record.ident in bar.stopped for bar in bars()))
        hold.thaw()
        wait_until(lambda: held.record.ident in trap.inside())
        on.set()
        over.set()
        controller.do(frozen.result(2 * WAIT).thaw)
        passing.result(WAIT)
        going.result(WAIT)


def call(number: int) -> int:
    """Code of the program."""
    return number + 1


@pytest.mark.parametrize("door", ["safepoint", "wait"])
def test_it_makes_what_a_world_calls_in_it(where: Any, door: str) -> None:
    freezer, on, event = Freezer(), threading.Event(), sync.Event()
    with puppet(freezer, "a") as held, actor() as controller:
        if door == "safepoint":
            waiting = held.pass_safepoints(on)
            hold = freezer.hold(group="a", timeout=WAIT)
        else:
            waiting = held.tell(wait_for, event)
            wait_until(lambda: held.record.state is State.BLOCKED)
        world = controller.do(freezer.freeze, group="a", where=where, timeout=WAIT)
        assert controller.do(world.call, held.record.ident, call, 1) == 2
        controller.do(world.thaw)
        if door == "safepoint":
            on.set()
            hold.thaw()
        else:
            event.set()
        waiting.result(WAIT)


def test_who_makes_such_a_call_does_not_count_as_stopped_for_others() -> None:
    freezer, another, begun, over = Freezer(), Freezer(), threading.Event(), threading.Event()
    event = sync.Event()

    def last() -> None:
        begun.set()
        over.wait(WAIT)

    with puppet(freezer, "a") as held, actor() as controller, actor() as other:
        held.do(another.register, group="a")
        waiting = held.tell(wait_for, event)
        wait_until(lambda: held.record.state is State.BLOCKED)
        world = controller.do(freezer.freeze, group="a", where="anywhere", timeout=WAIT)
        called = controller.tell(world.call, held.record.ident, last)
        wait_for(begun)
        with pytest.raises(FreezeTimeout):
            other.do(another.freeze, group="a", where="anywhere", timeout=0.1)
        over.set()
        called.result(WAIT)
        other.do(lambda: another.freeze(group="a", where="anywhere", timeout=WAIT).thaw())
        controller.do(world.thaw)
        event.set()
        waiting.result(WAIT)
