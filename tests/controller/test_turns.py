"""Worlds of one freezer never overlap, wherever the controller stands when it asks for one."""

from __future__ import annotations

import threading

import pytest

from freezethreads import Freezer
from freezethreads._controller.controller import Controller
from freezethreads._controller.turns import Turns
from freezethreads._ground.completion import Bell
from freezethreads._refrigerator import refrigerator
from freezethreads._registry.record import Record
from freezethreads._registry.requests import Freeze
from freezing import (
    Pause,
    RiggedDict,
    actor,
    after,
    at_bell,
    before,
    before_it_comes_back,
    puppet,
)
from helpers import WAIT, raise_once, wait_for, wait_until


def test_a_hold_does_not_take_the_turn_of_a_controller_within_a_region(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. A registered controller in a blocking region of its own gets its turn.
    2. Before it arms, another thread holds it; it counts as stopped.
    3. A third thread wants a world. It must not have one before the controller has thawed.
    """
    freezer = Freezer()
    pause = Pause()
    with puppet(freezer, "c") as controller, actor() as holder, actor() as third:
        region = freezer.blocking()
        controller.do(region.__enter__)
        before(monkeypatch, Controller, "_arm", pause)
        mine = controller.tell(freezer.freeze, group="nobody")
        pause.wait()
        holder.do(freezer.hold, group="c", timeout=0).thaw()
        other = third.tell(freezer.freeze, group="nobody", timeout=0)
        assert isinstance(other.exception(WAIT), TimeoutError)
        pause.go()
        controller.do(mine.result(WAIT).thaw)
        third.do(third.do(freezer.freeze, group="nobody", timeout=0).thaw)
        controller.do(region.__exit__, None, None, None)


@pytest.mark.parametrize("ask", ["freeze", "hold"])
def test_a_controller_that_lost_its_turn_queues_again(
    monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    """
    1. A registered controller queues, has the turn at once, and is away; it has not looked yet.
    2. Another thread stops it, passes its turn on, since it stands frozen, and lets it go.
    3. The controller looks. The queue is empty, and nobody is left to ring.
    """
    freezer = Freezer()
    with puppet(freezer) as controller, actor() as other:
        pause = Pause(controller.worker)
        after(monkeypatch, refrigerator, "go_away", pause)
        mine = controller.tell(getattr(freezer, ask), group="nobody", timeout=WAIT)
        pause.wait()
        other.do(other.do(freezer.hold, timeout=0).thaw)
        pause.go()
        controller.do(mine.result(WAIT / 2).thaw)


def test_a_controller_that_is_passed_over_while_another_leaves_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. A registered controller waits for its turn, asleep. The one before it leaves the queue, and
       has not looked yet who is the first now.
    2. A hold stops the registered one, and takes it off the queue, since it is the first.
    3. The one that leaves finds nobody to ring.
    """
    freezer = Freezer()
    with puppet(freezer, "c") as controller, actor() as before_it:
        world = before_it.do(freezer.freeze, group="nobody")
        waits = at_bell(monkeypatch, controller.worker)
        mine = controller.tell(freezer.freeze, group="nobody", timeout=WAIT)
        wait_for(waits)
        turns = freezer._controller._turns
        pause = Pause(before_it.worker)
        turns.queue = RiggedDict(turns.queue, after_pop=pause)
        leaving = before_it.tell(world.thaw)
        pause.wait()
        hold = freezer.hold(group="c", timeout=WAIT)
        pause.go()
        leaving.result(WAIT)
        hold.thaw()
        controller.do(mine.result(WAIT / 2).thaw)


@pytest.mark.parametrize("step", ["_get_ready", "parked"])
@pytest.mark.parametrize("ask", ["freeze", "hold"])
def test_a_controller_that_a_hold_meets_on_its_way_into_the_refrigerator_passes_its_turn_on(
    monkeypatch: pytest.MonkeyPatch, ask: str, step: str
) -> None:
    """
    1. A registered controller has the turn, sees that nothing is asked of it, and comes back.
    2. A hold asks it to stop, and has not looked whether it stands.
    3. It clears `away`, and finds that. It does not stand yet, and has
       its turn or has just passed it on, when the hold looks.
    4. It must not stand with its turn, which others want while the hold lasts.
    """
    freezer = Freezer()
    with puppet(freezer, "c") as controller, actor() as holder, puppet(freezer, "d") as third:
        comes = Pause(controller.worker)
        before_it_comes_back(monkeypatch, comes)
        mine = controller.tell(getattr(freezer, ask), group="nobody", timeout=WAIT)
        comes.wait()
        looks = Pause(holder.worker)
        before(monkeypatch, Record, "has_stopped", looks)
        holding = holder.tell(freezer.hold, group="c", timeout=WAIT)
        looks.wait()
        parks = Pause(controller.worker)
        before(monkeypatch, refrigerator, step, parks)
        comes.go()
        parks.wait()
        armed = at_bell(monkeypatch, holder.worker)
        looks.go()
        wait_for(armed)
        parks.go()
        with holding.result(WAIT):
            third.do(third.do(getattr(freezer, ask), group="nobody", timeout=WAIT / 2).thaw)
        controller.do(mine.result(WAIT).thaw)


def test_an_exception_between_leaving_the_queue_and_the_ring_loses_no_wake_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. A registered controller has its turn, and a hold stands for which it is to stand.
    2. It has left the queue when an exception comes, before it rings the next one.
    3. The next one has the hold, and does not let it go before it had its turn.
    """
    freezer = Freezer()
    with puppet(freezer, "c") as controller, actor() as holder, actor() as before_it:
        world = before_it.do(freezer.freeze, group="nobody")
        waits = at_bell(monkeypatch, controller.worker)
        mine = controller.tell(freezer.freeze, group="nobody", timeout=WAIT)
        wait_for(waits)
        hold = holder.do(freezer.hold, group="c", timeout=WAIT)
        waits = at_bell(monkeypatch, holder.worker)
        wanted = holder.tell(freezer.freeze, group="nobody", timeout=None)
        wait_for(waits)
        interrupt = raise_once(KeyboardInterrupt)

        def hit(_: object) -> None:
            if threading.current_thread() is controller.worker:
                interrupt()

        turns = freezer._controller._turns
        turns.queue = RiggedDict(turns.queue, after_pop=hit)
        before_it.do(world.thaw)
        try:
            other_world = wanted.result(WAIT / 2)
        finally:
            hold.thaw()
        holder.do(other_world.thaw)
        assert isinstance(mine.exception(WAIT), KeyboardInterrupt)


@pytest.mark.parametrize("ask", ["freeze", "hold"])
def test_a_signal_handler_that_stands_for_a_world_leaves_its_thread_its_place(
    monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    """
    1. A world is asked for. A registered controller queues, and counts as stopped.
    2. A signal handler in its thread comes to a safepoint: the thread stands there for the world.
    3. A third queues. After the thaw the first is first, but with a hold, since others may want one
       while the world stands.
    """
    freezer = Freezer()
    stood: list[str] = []
    with puppet(freezer) as thread, actor() as one, actor() as two:

        def handler(*_: object) -> None:
            if threading.current_thread() is thread.worker and not stood:
                stood.append("handler")
                freezer.safepoint("handler")

        def stop(name: str) -> None:
            with getattr(freezer, ask)(group="nobody", timeout=WAIT):
                stood.append(name)

        asking = one.tell(freezer.freeze, timeout=WAIT)
        wait_until(lambda: freezer.armed)
        before(monkeypatch, Bell, "wait", handler)
        first = thread.tell(stop, "first")
        world = asking.result(WAIT)
        wait_until(lambda: thread.record.parking.word.value.stay is not None)
        turns = freezer._registry.turns[ask]
        second = two.tell(stop, "second")
        if ask == "freeze":
            wait_until(lambda: len(turns.waiting()) == 3)
        else:
            second.result(WAIT)
        one.do(world.thaw)
        first.result(WAIT)
        second.result(WAIT)
        in_order = ["first", "second"] if ask == "freeze" else ["second", "first"]
        assert stood == ["handler", *in_order]


def test_a_signal_handler_stands_nowhere_with_its_threads_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. A registered controller has its turn, and would not pass it on any more; it has not armed.
    2. A hold asks it to stop. A signal handler in its thread comes to a safepoint.
    3. It does not stop there: the controller goes on with a turn that it would have passed on. Nor
       does the hold stand with that turn kept: a world that is wanted meanwhile would wait for it.
    """
    freezer = Freezer()
    with puppet(freezer, "c") as controller, actor() as holder:
        turns = freezer._controller._turns
        pause = Pause(controller.worker)
        keeping: list[Freeze] = []
        has_it: list[bool] = []

        def note(turns: Turns, freeze: Freeze) -> None:
            if threading.current_thread() is controller.worker:
                keeping.append(freeze)

        def handler() -> None:
            if threading.current_thread() is controller.worker and keeping:
                freeze = keeping.pop()
                pause()
                freezer.safepoint("handler")
                has_it.append(turns.current is freeze)

        def ask() -> None:
            freezer.freeze(group="nobody", timeout=WAIT).thaw()
            freezer.safepoint("after it")

        before(monkeypatch, Turns, "_may_keep", note)
        turns.queue = RiggedDict(turns.queue, after_list=handler)
        mine = controller.tell(ask)
        pause.wait()
        waits = at_bell(monkeypatch, holder.worker)
        holding = holder.tell(freezer.hold, group="c", timeout=WAIT)
        wait_for(waits)
        pause.go()
        with holding.result(WAIT):
            holder.do(holder.do(freezer.freeze, group="nobody", timeout=WAIT / 2).thaw)
        mine.result(WAIT)
        assert has_it[0]
