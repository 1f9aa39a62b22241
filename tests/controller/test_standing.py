"""Freezes that come and go while a thread makes up its mind, or a thaw does, whether it may run."""

from __future__ import annotations

import threading

import pytest

from freezethreads import Freezer, FreezeTimeout, State
from freezethreads._controller.controller import Controller
from freezethreads._ground.completion import Completion
from freezethreads._refrigerator import refrigerator
from freezing import Pause, actor, after, at_bell, before, looping, puppet
from helpers import WAIT, raise_once, wait_for, wait_until

MOMENT = 0.2
"""Seconds in which a thread that runs, and should not, is sure to be seen doing so."""


def test_a_freeze_that_is_done_hides_no_hold_from_a_thread_on_its_way_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. a world stands; a thread leaves its region, and stands: its step found the world alone
    2. a hold is asked for; since the world has stopped the thread, it counts as stopped
    3. the world is thawed
    4. the thread goes on from what it has found
    """
    freezer = Freezer()
    over, ran = threading.Event(), threading.Event()
    with puppet(freezer) as thread, actor() as first, actor() as second:
        stands = Pause(thread.worker)
        before(monkeypatch, refrigerator, "_note_stop", stands)
        region = thread.block(over)
        world = first.do(freezer.freeze, timeout=WAIT)
        over.set()
        stands.wait()
        hold = second.do(freezer.hold, timeout=0)
        first.do(world.thaw)
        running = thread.tell(ran.set)
        stands.go()
        assert not ran.wait(MOMENT)
        second.do(hold.thaw)
        running.result(WAIT)
        region.result(WAIT)


def test_a_freeze_that_is_done_hides_no_hold_from_a_thread_that_is_about_to_stand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. a world stands; a thread leaves its region: it clears `away`, and has found the world
    2. a hold is asked for, and waits, since the thread neither is away nor stands
    3. the world is thawed
    4. the thread would stand for that alone; so it looks again, and stands for the hold
    """
    freezer = Freezer()
    over, ran = threading.Event(), threading.Event()
    with puppet(freezer) as thread, actor() as first, actor() as second:
        found = Pause(thread.worker)
        after(monkeypatch, refrigerator, "parked", found)
        region = thread.block(over)
        world = first.do(freezer.freeze, timeout=WAIT)
        over.set()
        found.wait()
        waits = at_bell(monkeypatch, second.worker)
        holding = second.tell(freezer.hold, timeout=WAIT)
        wait_for(waits)
        assert not holding.done()
        first.do(world.thaw)
        running = thread.tell(ran.set)
        found.go()
        hold = holding.result(WAIT)
        assert thread.record.state is State.FROZEN
        assert not ran.wait(MOMENT)
        second.do(hold.thaw)
        running.result(WAIT)
        region.result(WAIT)


def test_a_freeze_that_is_done_hides_no_hold_from_a_thread_that_is_woken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. a world and a hold stand; the world is thawed; the thread has found that the hold is left
    2. another hold is asked for; the first one counts the thread as stopped, and it does
    3. the first hold is thawed
    4. the thread goes on from what it has found
    """
    freezer = Freezer()
    stop, ran = threading.Event(), threading.Event()
    with puppet(freezer) as thread, actor() as one, actor() as two, actor() as three:
        found = Pause(thread.worker)
        passing = thread.pass_safepoints(stop)
        world = one.do(freezer.freeze, timeout=WAIT)
        first = two.do(freezer.hold, timeout=WAIT)
        wait_until(lambda: thread.record.parking.entered is not None)
        after(monkeypatch, refrigerator, "settled", found)
        one.do(world.thaw)
        found.wait()
        second = three.do(freezer.hold, timeout=0)
        two.do(first.thaw)
        stop.set()
        running = thread.tell(ran.set)
        found.go()
        assert not ran.wait(MOMENT)
        three.do(second.thaw)
        running.result(WAIT)
        passing.result(WAIT)


def test_a_hold_that_comes_while_a_thaw_lets_a_thread_go_waits_for_its_next_safepoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. a world is thawed: it is done, and has yet to wake the thread
    2. a hold is asked for; the thread may go on, although nobody has woken it, so the hold waits
    3. the thaw goes on, and wakes the thread, which stops for the hold
    """
    freezer = Freezer()
    stop = threading.Event()
    with puppet(freezer) as thread, actor() as one, actor() as two:
        found = Pause(one.worker)
        passing = thread.pass_safepoints(stop)
        world = one.do(freezer.freeze, timeout=WAIT)
        before(monkeypatch, Completion, "complete_all", found)
        thawing = one.tell(world.thaw)
        found.wait()
        waits = at_bell(monkeypatch, two.worker)
        holding = two.tell(freezer.hold, timeout=WAIT)
        wait_for(waits)
        assert thread.record.state is State.RUNNING
        assert not holding.done()
        found.go()
        thawing.result(WAIT)
        with holding.result(WAIT) as hold:
            assert [info.state for info in hold.threads] == [State.FROZEN]
            stop.set()
            assert not passing.done()
        passing.result(WAIT)


def test_who_comes_to_stand_after_the_thaw_does_not_if_an_exception_comes_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It used to be a mark, which had to be taken off again. Now the step looks by itself.

    1. a thread is to stand, and does not yet, when the time runs out
    2. it takes the step by which it would stand, and an exception comes right after it
    3. it finds the freeze done, and goes on
    """
    freezer = Freezer()
    with puppet(freezer) as thread, actor() as controller:
        counts, parks = Pause(controller.worker), Pause(thread.worker)
        after(monkeypatch, refrigerator, "parked", raise_once(KeyboardInterrupt))
        before(monkeypatch, refrigerator, "parked", parks)
        before(monkeypatch, Controller, "all_stand", counts)
        asking = controller.tell(freezer.freeze, timeout=0)
        counts.wait()
        passing = thread.tell(freezer.safepoint)
        parks.wait()
        counts.go()
        assert isinstance(asking.exception(WAIT), FreezeTimeout)
        parks.go()
        assert isinstance(passing.exception(WAIT), KeyboardInterrupt)
        assert not thread.record.is_asked
        assert thread.record.state is State.RUNNING
        assert thread.record.parking.word.value.stay is None


@pytest.mark.parametrize(
    ("owner", "step"),
    [(Completion, "complete_all"), (Controller, "_recount_controller")],
    ids=["complete_all", "_recount_controller"],
)
def test_an_exception_in_a_thaw_that_nobody_repeats_leaves_nobody_parked(
    monkeypatch: pytest.MonkeyPatch, owner: object, step: str
) -> None:
    freezer = Freezer()
    with looping(freezer, 1) as loops:
        world = freezer.freeze(timeout=WAIT)
        before(monkeypatch, owner, step, raise_once(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            freezer._controller.thaw_abandoned(world._freeze, "given up", "as a test")
        loops.progress()
        freezer.freeze(timeout=WAIT).thaw()
