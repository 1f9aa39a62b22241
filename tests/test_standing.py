"""Freezes that come and go while a thread makes up its mind, or a thaw does, whether it may run."""

from __future__ import annotations

import threading

import pytest

from freezethreads import Freezer, FreezeTimeout, _refrigerator
from freezethreads._controller import Controller
from freezing import Pause, actor, before, looping, puppet, rig_todo
from helpers import WAIT, raise_once, wait_until

MOMENT = 0.2
"""Seconds in which a thread that runs, and should not, is sure to be seen doing so."""


def test_a_freeze_that_is_done_hides_no_hold_from_a_thread_on_its_way_back() -> None:
    """
    1. a world stands; a thread leaves its region: it takes its mark off, and lists what is asked
    2. a hold is put on its list; since the world has stopped the thread, it counts as stopped
    3. the world is thawed
    4. the thread finds that the world is done, which was all it had listed
    """
    freezer = Freezer()
    over, ran = threading.Event(), threading.Event()
    listed = Pause()
    with puppet(freezer) as thread, actor() as first, actor() as second:
        rig_todo(thread, after_list=lambda: listed() if over.is_set() else None)
        region = thread.block(over)
        world = first.do(freezer.freeze, timeout=WAIT)
        over.set()
        listed.wait()
        hold = second.do(freezer.hold, timeout=0)
        first.do(world.thaw)
        running = thread.tell(ran.set)
        listed.go()
        assert not ran.wait(MOMENT)
        second.do(hold.thaw)
        running.result(WAIT)
        region.result(WAIT)


def test_a_freeze_that_is_done_hides_no_hold_from_a_thaw() -> None:
    """
    1. a world and a hold stand; the world's thaw takes a thread's mark off, and lists what is left
    2. another hold is put on the list; the first one counts the thread as stopped, and it does
    3. the first hold is thawed
    4. the world's thaw finds that this one is done, which was all that was left
    """
    freezer = Freezer()
    stop, ran = threading.Event(), threading.Event()
    with puppet(freezer) as thread, actor() as one, actor() as two, actor() as three:
        listed = Pause(one.worker)
        thaws = threading.Event()
        rig_todo(thread, after_list=lambda: listed() if thaws.is_set() else None)
        passing = thread.pass_safepoints(stop)
        world = one.do(freezer.freeze, timeout=WAIT)
        first = two.do(freezer.hold, timeout=WAIT)
        thaws.set()
        thawing = one.tell(world.thaw)
        listed.wait()
        second = three.do(freezer.hold, timeout=0)
        two.do(first.thaw)
        stop.set()
        running = thread.tell(ran.set)
        listed.go()
        thawing.result(WAIT)
        assert not ran.wait(MOMENT)
        three.do(second.thaw)
        running.result(WAIT)
        passing.result(WAIT)


def test_a_mark_that_comes_after_the_thaw_does_not_stay_if_an_exception_comes_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. a thread is to stand, and has not set its mark, when the time runs out: nothing to take off
    2. it sets its mark, and an exception comes before it takes that off again
    3. it finds the freeze done, and goes on
    """
    freezer = Freezer()
    with puppet(freezer) as thread, actor() as controller:
        parks = Pause(thread.worker)
        before(monkeypatch, _refrigerator, "_park", parks)
        asking = controller.tell(freezer.freeze, timeout=MOMENT)
        wait_until(lambda: freezer.armed)
        passing = thread.tell(freezer.safepoint)
        parks.wait()
        assert isinstance(asking.exception(WAIT), FreezeTimeout)
        before(monkeypatch, _refrigerator, "_tell", raise_once(KeyboardInterrupt))
        parks.go()
        assert isinstance(passing.exception(WAIT), KeyboardInterrupt)
        assert not thread.record.todo


@pytest.mark.parametrize("step", ["_pass_mark_on", "_recount_owner"])
def test_an_exception_in_a_thaw_that_nobody_repeats_leaves_nobody_parked(
    monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    freezer = Freezer()
    with looping(freezer, 1) as loops:
        world = freezer.freeze(timeout=WAIT)
        before(monkeypatch, Controller, step, raise_once(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            freezer._controller.abandon(world._freeze, "as a test")
        loops.progress()
        freezer.freeze(timeout=WAIT).thaw()
