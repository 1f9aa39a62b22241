"""Promises 1 and 8: who is frozen does not run, and a wait that ends meanwhile does not return."""

from __future__ import annotations

import threading
from concurrent.futures import wait

import pytest

from freezethreads import Freezer, State
from freezethreads._refrigerator import refrigerator
from freezethreads._registry.registry import Registry
from freezing import Pause, RiggedDict, actor, after, at_bell, before, looping, puppet
from helpers import WAIT, wait_for
from rigging import rig_mark


def test_nobody_counts_while_the_world_stands() -> None:
    frozen, free = Freezer(), Freezer()
    with looping(frozen, 4) as loops, looping(free, 1) as others:
        for _ in range(20):
            with frozen.freeze(timeout=WAIT):
                counts = list(loops.counts)
                others.progress()
                assert loops.counts == counts
        loops.progress()


def test_a_frozen_thread_has_passed_nothing_but_its_safepoint() -> None:
    freezer = Freezer()
    with looping(freezer, 3) as loops, freezer.freeze(timeout=WAIT) as world:
        assert {info.state for info in world.threads} == {State.FROZEN}
        assert all("safepoint" in str(info.stack()) for info in world.threads)
        assert len(world.threads) == len(loops.threads)


def test_a_wait_that_ends_during_a_freeze_does_not_return(monkeypatch: pytest.MonkeyPatch) -> None:
    freezer = Freezer()
    over = threading.Event()
    with puppet(freezer) as thread:
        region = thread.block(over)
        with freezer.freeze(timeout=WAIT):
            parked = at_bell(monkeypatch, thread.worker)
            over.set()
            wait_for(parked)
            assert not region.done()
            assert thread.record.state is State.FROZEN
        region.result(WAIT)


def test_an_exception_that_leaves_a_region_waits_too(monkeypatch: pytest.MonkeyPatch) -> None:
    freezer = Freezer()
    over = threading.Event()
    inside = threading.Event()

    def region() -> None:
        with freezer.blocking():
            inside.set()
            wait_for(over)
            raise LookupError

    with puppet(freezer) as thread:
        left = thread.tell(region)
        wait_for(inside)
        with freezer.freeze(timeout=WAIT):
            parked = at_bell(monkeypatch, thread.worker)
            over.set()
            wait_for(parked)
            assert not left.done()
        assert isinstance(left.exception(WAIT), LookupError)


def test_a_freeze_posted_after_the_marker_was_taken_off_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. the thread leaves its region: it takes the marker off, and has not looked yet
    2. a freeze is posted; it finds no marker, so it waits
    3. the thread looks, finds the freeze and parks: the freeze stands
    """
    freezer = Freezer()
    over = threading.Event()
    with puppet(freezer) as thread, actor() as controller:
        region = thread.block(over)
        pause = Pause(thread.worker)
        rig_mark(thread.record, after_off=pause)
        over.set()
        pause.wait()
        waits = at_bell(monkeypatch, controller.worker)
        frozen = controller.tell(freezer.freeze, timeout=WAIT)
        wait_for(waits)
        assert not frozen.done()
        pause.go()
        with frozen.result(WAIT):
            assert thread.record.state is State.FROZEN
            assert not region.done()
        region.result(WAIT)


def test_a_freeze_that_counted_on_the_marker_is_found_when_it_comes_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. a thread that registers has looked, found no freeze, and still has its marker
    2. a freeze is posted; it finds the marker, and stands at once
    3. the thread takes the marker off, looks again and parks
    """
    freezer = Freezer()
    with actor() as late:
        pause = Pause(late.worker)
        after(monkeypatch, Registry, "enter", pause)
        registered = late.tell(freezer.register)
        pause.wait()
        with freezer.freeze(timeout=WAIT) as world:
            parked = at_bell(monkeypatch, late.worker)
            pause.go()
            wait_for(parked)
            assert not registered.done()
            assert [info.state for info in world.threads] == [State.FROZEN]
        registered.result(WAIT)


def test_the_marker_of_a_later_region_is_not_taken_off_by_an_earlier_thaw() -> None:
    """
    1. a thaw has said that it is done and knows who waits; it wakes nobody yet
    2. a thread that waits is woken by something else, goes on and enters a blocking region
    3. the thaw goes on
    4. the next freeze finds the thread blocked
    """
    freezer = Freezer()
    stop, over, inside = threading.Event(), threading.Event(), threading.Event()
    with puppet(freezer) as thread, actor() as controller:
        passing = thread.pass_safepoints(stop)
        world = controller.do(freezer.freeze, timeout=WAIT)
        pause = Pause(controller.worker)
        completion = world._freeze.completion
        completion._waiting = RiggedDict(completion._waiting, after_list=pause)
        stop.set()
        thawed = controller.tell(world.thaw)
        pause.wait()
        thread.record.parking.bell.ring()
        # Whether a waiter may go on as early as that is the thaw's affair; it must go on later.
        early = wait([passing], timeout=0.2).done
        region = thread.tell(thread.pass_through, freezer.blocking("region"), over, inside)
        if early:
            wait_for(inside)
        pause.go()
        thawed.result(WAIT)
        wait_for(inside)
        freezer.freeze(timeout=1).thaw()
        over.set()
        region.result(WAIT)


def test_of_two_thaws_at_once_the_slower_takes_nothing_off() -> None:
    """
    1. the lease thaws; it knows who waits, and wakes nobody yet
    2. the controller thaws; the thread goes on and enters a blocking region
    3. the lease goes on
    4. the next freeze finds the thread blocked
    """
    freezer = Freezer()
    stop, over = threading.Event(), threading.Event()
    with puppet(freezer) as thread, actor() as watchdog:
        passing = thread.pass_safepoints(stop)
        world = freezer.freeze(timeout=WAIT)
        pause = Pause(watchdog.worker)
        completion = world._freeze.completion
        completion._waiting = RiggedDict(completion._waiting, after_list=pause)
        stop.set()
        expired = watchdog.tell(freezer._controller.expire, world._freeze)
        pause.wait()
        world.thaw()
        passing.result(WAIT)
        region = thread.block(over)
        pause.go()
        expired.result(WAIT)
        freezer.freeze(timeout=1).thaw()
        over.set()
        region.result(WAIT)


def test_who_was_let_go_does_not_say_any_more_that_it_has_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. a thread leaves a region during a hold, and parks: it stands, and has told nobody
    2. the hold is thawed: that makes the thread RUNNING, since nothing else is asked of it
    3. another hold is asked for, and waits for the thread
    4. the thread goes on; so it must not count as stopped for that one
    """
    freezer = Freezer()
    over = threading.Event()
    with puppet(freezer) as thread, actor() as holder:
        region = thread.block(over)
        first = freezer.hold(timeout=WAIT)
        pause = Pause(thread.worker)
        before(monkeypatch, refrigerator, "tell", pause)
        over.set()
        pause.wait()
        first.thaw()
        waits = at_bell(monkeypatch, holder.worker)
        holding = holder.tell(freezer.hold, timeout=WAIT)
        wait_for(waits)
        pause.go()
        region.result(WAIT)
        (second,) = freezer._registry.active
        assert thread.record in second.awaited
        stopped = thread.tell(freezer.safepoint)
        holding.result(WAIT).thaw()
        stopped.result(WAIT)
