"""Freezing in steps, for a thread that must not wait: the same turns, promises and ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from freezethreads import FreezeError, Freezer, FreezeTimeout, State
from freezethreads._controller.controller import Controller
from freezing import Pause, actor, before, left_at_rest, puppet
from helpers import WAIT, wait_for, wait_until
from in_steps import Request, passing


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    with left_at_rest() as freezer:
        yield freezer


def test_who_runs_is_waited_for_without_waiting(freezer: Freezer) -> None:
    with puppet(freezer) as thread, freezer.register():
        request = Request(freezer, reason="look")
        assert request.poll() is None
        assert freezer.armed
        assert not request.news.is_set()
        standing = thread.tell(freezer.safepoint)
        with request.take() as world:
            assert [info.state for info in world.threads] == [State.FROZEN]
            assert world.reason == "look"
            assert threading.current_thread() not in world.unregistered
            freezer.freeze(timeout=0).thaw()  # inside one's own world, at once
            assert not standing.done()
        standing.result(WAIT)
        request.close()
        request.close()


def test_a_group_that_stands_already_takes_one_step(freezer: Freezer) -> None:
    over = threading.Event()
    with puppet(freezer, "a") as thread:
        blocked = thread.block(over)
        request = Request(freezer, group="a")
        world = request.poll()
        assert world is not None
        world.thaw()
        request.close()
        over.set()
        blocked.result(WAIT)


def test_requests_take_turns_with_each_other_and_with_others(freezer: Freezer) -> None:
    with actor() as other:
        world = other.do(freezer.freeze)
        first, second = Request(freezer), Request(freezer)
        assert first.poll() is None
        assert second.poll() is None
        last = other.do(world.thaw), other.tell(freezer.freeze)
        with first.take():
            assert second.poll() is None
            assert not last[1].done()
        first.close()
        with second.take():
            assert not last[1].done()
        second.close()
        other.do(last[1].result(WAIT).thaw)


def test_a_thread_that_waits_for_its_turn_can_be_frozen(freezer: Freezer) -> None:
    asked = threading.Event()
    with puppet(freezer, waker=asked.set) as mine, actor() as other:
        stopping = other.tell(freezer.freeze, timeout=WAIT)
        wait_for(asked)
        request = mine.do(Request, freezer)
        assert mine.do(request.poll) is None
        standing = mine.tell(freezer.safepoint)
        world = stopping.result(WAIT)
        assert not request.news.is_set()
        other.do(world.thaw)
        standing.result(WAIT)
        mine.do(mine.do(request.take).thaw)
        mine.do(request.close)


def test_a_blocking_freeze_of_a_thread_that_asks_in_steps_is_refused(freezer: Freezer) -> None:
    with actor() as other:
        world = other.do(freezer.freeze)
        request = Request(freezer)
        assert request.poll() is None
        with pytest.raises(FreezeError, match="under way in this very thread"):
            freezer.freeze()
        request.close()
        other.do(world.thaw)


def test_the_thread_is_not_stopped_while_it_stops_others(freezer: Freezer) -> None:
    """
    1. My freeze waits for X, which has the turn for a hold and has yet to arm it.
    2. X arms it, and waits for me as a stopped thread. So my world stands.
    3. I pass safepoints. If they stopped me for X, which my world keeps, neither would thaw.
    """
    woken = threading.Event()
    with puppet(freezer, waker=woken.set) as mine, puppet(freezer) as x:
        pause = Pause(x.worker)
        with pytest.MonkeyPatch.context() as patch:
            before(patch, Controller, "_arm", pause)
            holding = x.tell(freezer.hold, timeout=WAIT)
            pause.wait()
            request = mine.do(Request, freezer)
            assert mine.do(request.poll) is None
            pause.go()
            world = mine.do(request.take)
            wait_for(woken)
            mine.do(freezer.safepoint)
            mine.do(freezer.blocking().__enter__)
            mine.do(freezer.blocking().__exit__, None, None, None)
            assert not holding.done()
            woken.clear()
            mine.do(world.thaw)
            mine.do(request.close)
            wait_for(woken)  # what was asked meanwhile is asked again
        standing = mine.tell(freezer.safepoint)
        holding.result(WAIT).thaw()
        standing.result(WAIT)


def test_a_turn_that_comes_while_its_thread_is_held_passes_on(freezer: Freezer) -> None:
    """
    1. I wait for the turn behind another controller.
    2. A hold stops me. So when the turn comes to me, nobody is there to take it.
    3. A third controller gets it, and thaws; then the hold thaws, and I get the turn.
    """
    with puppet(freezer, "me") as mine, actor() as one, actor() as two:
        world = one.do(freezer.freeze, group="nobody")
        request = mine.do(Request, freezer, group="nobody")
        assert mine.do(request.poll) is None
        with passing(freezer, mine), freezer.hold(timeout=WAIT, group="me"):
            one.do(world.thaw)
            two.do(two.do(freezer.freeze, group="nobody", timeout=WAIT).thaw)
        wait_for(request.news)
        mine.do(mine.do(request.take).thaw)
        mine.do(request.close)


def test_a_turn_that_has_come_passes_on_before_its_thread_is_held(freezer: Freezer) -> None:
    """The same, but the turn has come to me already, and I stop before I have looked."""
    with puppet(freezer, "me") as mine, actor() as one, actor() as two:
        world = one.do(freezer.freeze, group="nobody")
        request = mine.do(Request, freezer, group="nobody")
        assert mine.do(request.poll) is None
        one.do(world.thaw)
        wait_for(request.news)
        with passing(freezer, mine), freezer.hold(timeout=WAIT, group="me"):
            two.do(two.do(freezer.freeze, group="nobody", timeout=WAIT).thaw)
        mine.do(mine.do(request.take).thaw)
        mine.do(request.close)


def test_who_is_to_stop_when_the_turn_has_come_stops_first(freezer: Freezer) -> None:
    """And gives the turn back before it stops, since that hold may wait long for others."""
    asked = threading.Event()
    with puppet(freezer, "me", asked.set) as mine, puppet(freezer, "me") as late, actor() as holder:
        holding = holder.tell(freezer.hold, timeout=WAIT, group="me")
        wait_for(asked)
        request = mine.do(Request, freezer, group="nobody")
        stopping = mine.tell(request.take)
        while mine.record.state is not State.FROZEN:
            assert not stopping.done()
        with freezer.freeze(timeout=0, group="nobody"):
            pass
        standing = late.tell(freezer.safepoint)
        holding.result(WAIT).thaw()
        standing.result(WAIT)
        mine.do(stopping.result(WAIT).thaw)
        mine.do(request.close)


def test_a_hold_does_not_cost_who_waits_for_the_turn_its_place(freezer: Freezer) -> None:
    order: list[str] = []
    turns = freezer._controller._turns
    with puppet(freezer, "me") as mine, actor() as one, actor() as two:
        world = one.do(freezer.freeze, group="nobody")
        first = mine.tell(freezer.run_frozen, order.append, "first", timeout=WAIT, group="nobody")
        wait_until(lambda: len(turns.waiting()) == 2)
        second = two.tell(freezer.run_frozen, order.append, "second", timeout=WAIT, group="nobody")
        wait_until(lambda: len(turns.waiting()) == 3)
        with freezer.hold(timeout=WAIT, group="me"):
            assert len(turns.waiting()) == 3
        one.do(world.thaw)
        first.result(WAIT)
        second.result(WAIT)
    assert order == ["first", "second"]


def test_a_world_that_stands_keeps_its_turn_though_its_thread_is_held(freezer: Freezer) -> None:
    """
    1. A thread that is not enrolled has a world.
    2. It registers in a group that is held, and so stops.
    3. Another hold finds it stopped. It must not take the turn of a world that stands.
    """
    with actor() as mine:
        request = mine.do(Request, freezer, group="nobody")
        world = mine.do(request.take)
        with freezer.hold(timeout=WAIT, group="me"):
            registering = mine.tell(freezer.register, group="me")
            wait_until(lambda: State.FROZEN in {info.state for info in freezer.threads()})
            with freezer.hold(timeout=WAIT, group="me"), pytest.raises(FreezeTimeout):
                freezer.freeze(timeout=0, group="nobody")
        registering.result(WAIT)
        mine.do(world.thaw)
        mine.do(request.close)
