"""Several groups, of which one stands and the next is yet to be asked: who comes in between."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from fork_helpers import Fork, forked
from freezethreads import Freezer, FreezeTimeout, State, sync
from freezethreads._controller.controller import Controller
from freezethreads._controller.nowait import HoldRequest
from freezethreads._ground import deadline, original
from freezethreads._registry.requests import Freeze
from freezing import actor, before, left_at_rest, looping, puppets
from helpers import WAIT, wait_for, wait_until
from in_steps import Request, passing, wait_until_asked


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    with left_at_rest() as freezer:
        yield freezer


@pytest.mark.parametrize("kind", ["freeze", "hold"])
def test_one_that_is_given_up_in_between_leaves_nothing_armed(
    freezer: Freezer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_up(controller: Controller, part: Freeze) -> None:
        if part.group == "io":
            controller.thaw_abandoned(part.whole, "given up", "the test says so")

    before(monkeypatch, Controller, "ask", give_up)
    with looping(freezer, 1, "compute") as loops:
        stopped = getattr(freezer, kind)(group=["compute", "io"], timeout=WAIT)
        assert repr(stopped).endswith("thawed>")
        del stopped
        assert not freezer.armed
        loops.progress()


def test_a_controller_that_is_not_registered_stops_for_nobody_in_between(freezer: Freezer) -> None:
    jobs = freezer.outstanding("job")
    with puppets(freezer, "compute", "io") as (thread, other), actor() as loop:
        holding = thread.tell(freezer.hold, timeout=WAIT)
        with passing(freezer, other):
            hold = holding.result(WAIT)
            jobs.add()
            asked = loop.do(Request, freezer, group=["compute", "io"], settled="job")
            loop.do(asked.poll)
            stopped = thread.tell(freezer.safepoint)
            wait_for(asked.news)
            assert loop.do(asked.poll) is None
            assert thread.record.state is State.FROZEN
            loop.do(freezer.safepoint)  # else it would not come to give up at its time-out
            jobs.done()
            loop.do(asked.take).thaw()
            hold.thaw()
            stopped.result(WAIT)


def test_who_is_held_itself_lets_all_go_when_its_time_is_over(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with puppets(freezer, "first", "compute", "busy", "other") as (first, compute, busy, other):
        held = first.tell(freezer.hold, group=["compute", "io"], timeout=WAIT)
        wait_until_asked(compute)
        holding = other.tell(freezer.hold, group="", timeout=None)
        wait_until(lambda: len(freezer._controller._hold_turns.queue) == 2)
        with passing(freezer, compute):
            wait_until_asked(busy)
            monkeypatch.setattr(deadline, "monotonic", lambda: original.monotonic() + 2 * WAIT)
            freezer._controller.ring_all()
            wait_until(lambda: [one.group for one in freezer._registry.active] == [""])
            assert not held.done()  # it stands for the other one
            with passing(freezer, busy):
                holding.result(WAIT).thaw()
                with pytest.raises(FreezeTimeout, match="had the freezer"):
                    held.result(WAIT)


def test_who_owns_what_a_late_one_waits_for_may_stand_for_the_first(freezer: Freezer) -> None:
    lock = sync.Lock()

    def wait() -> None:
        with freezer.no_freeze(), lock:
            pass

    over = threading.Event()
    with puppets(freezer, "compute", "log") as (owner, late):
        owner.do(lock.acquire)
        blocked = owner.block(over)
        waiting = late.tell(wait)
        with pytest.raises(FreezeTimeout) as caught:
            freezer.freeze(group=["compute", "log"], timeout=0.05)
        (straggler,) = caught.value.stragglers
        assert str(straggler.waits_for).endswith("held by puppet, frozen by this freeze")
        over.set()
        blocked.result(WAIT)
        owner.do(lock.release)
        waiting.result(WAIT)


def test_in_the_child_of_a_fork_in_between_nobody_is_asked(freezer: Freezer) -> None:
    def body(fork: Fork) -> None:
        with puppets(freezer, "compute", "io") as (first, second):
            request = HoldRequest(freezer, group=["compute", "io"], timeout=WAIT)
            made.append(request)
            wait_until_asked(first)
            if fork():
                with passing(freezer, first), passing(freezer, second):
                    hold = request.wait(WAIT)
                    assert hold is not None
                    hold.thaw()
            else:
                first.finish = second.finish = lambda: None  # type: ignore[method-assign]

    def check() -> None:
        freeze = made[0]._freeze
        assert [part.ended_by for part in freeze.parts] == ["fork", "fork"]
        freezer._controller.ask(freeze)
        assert not freezer.armed
        assert not freezer._registry.active

    made: list[HoldRequest] = []
    forked(body, check)


@pytest.mark.parametrize("group", ["compute", ["compute", "io"]])
def test_a_freeze_that_is_over_is_no_garbage(freezer: Freezer, group: Any) -> None:
    def freezes() -> int:
        return len([one for one in gc.get_objects() if type(one) is Freeze])

    with looping(freezer, 1, "compute"), looping(freezer, 1, "io"):
        gc.collect()
        gc.disable()
        try:
            freezer.freeze(group=group, timeout=WAIT).thaw()
            once = freezes()
            for _ in range(10):
                freezer.freeze(group=group, timeout=WAIT).thaw()
            assert freezes() == once
        finally:
            gc.enable()
