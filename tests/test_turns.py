"""Worlds of one freezer never overlap, wherever the controller stands when it asks for one."""

from __future__ import annotations

import pytest

from freezethreads import Freezer, _controller, _refrigerator
from freezing import Pause, RiggedDict, actor, after, at_bell, before, puppet
from helpers import WAIT, wait_for


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
        before(monkeypatch, _controller.Controller, "_arm", pause)
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
        after(monkeypatch, _controller, "go_away", pause)
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
        turns._queue = RiggedDict(turns._queue, after_pop=pause)
        leaving = before_it.tell(world.thaw)
        pause.wait()
        hold = freezer.hold(group="c", timeout=WAIT)
        pause.go()
        leaving.result(WAIT)
        hold.thaw()
        controller.do(mine.result(WAIT / 2).thaw)


@pytest.mark.parametrize("ask", ["freeze", "hold"])
def test_a_controller_that_a_hold_meets_on_its_way_into_the_refrigerator_passes_its_turn_on(
    monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    """
    1. A registered controller has the turn, sees that nothing is asked of it, and comes back.
    2. A hold is put on its list, and has not looked whether it stands.
    3. It finds that, and takes the mark off by which it was away. It has not set the next one, by
       which it stands, when the hold looks.
    4. It stands with its turn, which others want while the hold lasts.
    """
    freezer = Freezer()
    with puppet(freezer, "c") as controller, actor() as holder, puppet(freezer, "d") as third:
        comes = Pause(controller.worker)
        before(monkeypatch, _controller, "come_back", comes)
        mine = controller.tell(getattr(freezer, ask), group="nobody", timeout=WAIT)
        comes.wait()
        looks = Pause(holder.worker)
        before(monkeypatch, _controller.Controller, "_has_stopped", looks)
        holding = holder.tell(freezer.hold, group="c", timeout=WAIT)
        looks.wait()
        parks = Pause(controller.worker)
        before(monkeypatch, _refrigerator, "_park", parks)
        comes.go()
        parks.wait()
        armed = at_bell(monkeypatch, holder.worker)
        looks.go()
        wait_for(armed)
        parks.go()
        with holding.result(WAIT):
            third.do(third.do(getattr(freezer, ask), group="nobody", timeout=WAIT / 2).thaw)
        controller.do(mine.result(WAIT).thaw)
