"""Holds: they overlap freely, with worlds too, and a thread runs when nobody holds it any more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import as_completed
from typing import Any

import pytest

from freezethreads import FreezeError, Freezer, FreezeTimeout, Registration, State
from freezing import Pause, actor, after, at_bell, looping, puppet, puppets
from helpers import WAIT, start, wait_for, wait_until
from rigging import rig_mark


def test_a_thread_runs_when_nobody_holds_it_any_more() -> None:
    freezer = Freezer()
    with looping(freezer, 1, "a.b") as loops, looping(freezer, 1, "c") as others:
        holds = [freezer.hold(timeout=WAIT, group=group) for group in ("a", "a.b", "a")]
        counts = list(loops.counts)
        for hold in holds:
            others.progress()
            assert loops.counts == counts
            hold.thaw()
            hold.thaw()
        loops.progress()
    assert not freezer.armed


def test_holds_and_worlds_overlap() -> None:
    freezer = Freezer()
    with looping(freezer, 2) as loops:
        hold = freezer.hold(timeout=WAIT, reason="backup")
        with freezer.freeze(timeout=WAIT):
            counts = list(loops.counts)
            hold.thaw()
            with freezer.hold(timeout=WAIT):
                pass
            assert loops.counts == counts
            late = freezer.hold(timeout=WAIT)
        assert {info.state for info in freezer.threads()} == {State.FROZEN}
        assert loops.counts == counts
        late.thaw()
        loops.progress()


def test_a_held_thread_wakes_for_the_first_and_stays_for_the_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    freezer = Freezer()
    with looping(freezer, 3) as loops:
        first, second = freezer.hold(timeout=WAIT), freezer.hold(timeout=WAIT)
        again = [at_bell(monkeypatch, thread) for thread in loops.threads]
        first.thaw()
        for event in again:
            wait_for(event)
        freezer.freeze(timeout=WAIT).thaw()
        second.thaw()
        loops.progress()


def test_two_threads_that_hold_each_other_have_it_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. a thread asks for a hold of another one's group, and has not begun to wait
    2. the other asks for a hold of the first one's
    3. neither may stop the other inside `hold()`, since nobody else can thaw what they asked for
    """
    freezer = Freezer()
    with puppets(freezer, "a", "b") as (one, two):
        pause = Pause(one.worker)
        after(monkeypatch, freezer._controller, "_arm", pause)
        first = one.tell(freezer.hold, group="b", timeout=WAIT / 10)
        pause.wait()
        second = two.tell(freezer.hold, group="a", timeout=WAIT / 10)
        while two.record.state is State.RUNNING and not second.done():
            pass
        pause.go()
        try:
            for future in as_completed((first, second), WAIT):
                if future.exception() is None:
                    future.result().thaw()
                else:
                    assert isinstance(future.exception(), FreezeTimeout)
        finally:
            for freeze in freezer._registry.active.copy():
                freezer._controller.thaw(freeze)


def test_a_hold_that_times_out_lets_all_go_although_its_own_thread_stands() -> None:
    """
    1. a registered thread waits for its hold; one thread has stopped for it, and another does not
    2. the thread's own group is frozen, and then the time of its hold runs out
    3. whoever has stopped for the hold goes on, although the thread is not back to say so
    """
    freezer = Freezer()
    with looping(freezer, 1, "held") as loops, puppets(freezer, "held", "its") as (_, thread):
        holding = thread.tell(freezer.hold, group="held", timeout=WAIT / 10)
        record = freezer._registry.find(loops.threads[0])
        wait_until(lambda: record.state is State.FROZEN)
        with freezer.freeze(timeout=WAIT, group="its"):
            loops.progress()
            assert not holding.done()
        with pytest.raises(FreezeTimeout):
            holding.result(WAIT)


def test_moving_into_a_held_group_waits_and_out_of_one_does_not() -> None:
    freezer = Freezer()
    with puppet(freezer, "free") as thread:
        hold = freezer.hold(timeout=WAIT, group="held")
        moving = thread.tell(thread.registration.move, "held.more")
        freezer.freeze(timeout=WAIT).thaw()
        assert thread.record.state is State.FROZEN
        assert not moving.done()
        hold.thaw()
        moving.result(WAIT)
        thread.do(thread.registration.move, "free")
        with freezer.hold(timeout=0, group="held") as other:
            assert other.threads == ()


def test_who_moves_out_of_a_group_that_is_being_frozen_is_not_in_the_world(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    freezer = Freezer()
    over = threading.Event()
    with puppets(freezer, "a", "a") as (gone, stays), actor() as controller:
        waits = at_bell(monkeypatch, controller.worker)
        freezing = controller.tell(freezer.freeze, timeout=WAIT, group="a")
        wait_for(waits)
        gone.do(gone.registration.move, "b")
        region = stays.block(over)
        with freezing.result(WAIT) as world:
            assert [info.ident for info in world.threads] == [stays.worker.ident]
        over.set()
        region.result(WAIT)


def test_a_thread_that_a_standing_world_counts_on_does_not_move_out_of_it() -> None:
    """
    1. a thread moves out of a group; it has come as far as to count as stopped, if it ever does
    2. a freeze of the old group finds it, and stands
    3. the thread goes on: if it is in that world, it is not back before the thaw
    """
    freezer = Freezer()
    with puppet(freezer, "a") as thread:
        pause = Pause(thread.worker)
        rig_mark(thread.record, after_set=pause)
        moving = thread.tell(thread.registration.move, "b")
        moving.add_done_callback(lambda _: pause.reached.set())
        pause.wait()
        with freezer.freeze(timeout=WAIT, group="a") as world:
            inside = world.threads
            pause.go()
            if inside:
                with pytest.raises(TimeoutError):
                    moving.result(0.2)
        moving.result(WAIT)


def test_who_moves_to_and_fro_stands_in_each_world_that_it_is_in() -> None:
    freezer = Freezer()
    stop = threading.Event()
    counts = [0]

    def loop(registration: Registration) -> None:
        while not stop.is_set():
            for group in ("a", "b"):
                registration.move(group)
                counts[0] += 1

    with puppet(freezer, "a") as thread:
        moving = thread.tell(loop, thread.registration)
        try:
            for _ in range(300):
                with freezer.freeze(timeout=WAIT, group="a") as world:
                    if world.threads:
                        before = counts[0]
                        assert [info.state for info in world.threads] == [State.FROZEN]
                        assert counts[0] == before
        finally:
            stop.set()
        moving.result(WAIT)


def test_a_hold_outlives_its_thread_and_covers_the_next_one_of_that_ident() -> None:
    freezer = Freezer()
    holder = start(lambda: freezer.hold(timeout=WAIT))
    with holder.finish():
        for _ in range(20):  # until the platform gives out the ident again
            entered = threading.Event()
            thread = start(register, freezer, entered)
            while not any(info.ident == thread.ident for info in freezer.threads()):
                assert not entered.is_set(), "it ran while its group was held"
            if thread.ident == holder.ident:
                break
    # Left with the block: all who registered meanwhile go on.


def register(freezer: Freezer, entered: threading.Event) -> None:
    with freezer.register():
        entered.set()


def test_a_hold_that_nobody_refers_to_is_thawed_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    freezer = Freezer()
    with looping(freezer, 1) as loops:
        freezer.hold(timeout=WAIT, reason="forgotten")
        loops.progress()
    assert "forgotten" in caplog.text


def test_a_waker_that_passes_a_safepoint_does_not_park_the_controller() -> None:
    """The waker runs in the holder's thread, which nobody has registered, and a world stands."""
    freezer = Freezer()
    with puppet(freezer, waker=freezer.safepoint) as thread, actor() as holder:
        thread.do(freezer.blocking().__enter__)
        with freezer.freeze():
            hold = holder.do(freezer.hold)
        hold.thaw()
        thread.do(lambda: freezer.blocking().__exit__(None, None, None))


@pytest.mark.parametrize("ask", [Freezer.freeze, Freezer.hold])
def test_what_was_thawed_is_entered_no_more(ask: Callable[..., Any]) -> None:
    freezer = Freezer()
    with puppet(freezer):
        stopped = ask(freezer, group="nobody")
        with stopped:
            pass
        with pytest.raises(FreezeError, match="was thawed before this block"), stopped:
            pytest.fail("entered")


def test_an_inner_world_that_was_thawed_is_entered_no_more() -> None:
    freezer = Freezer()
    with freezer.freeze():
        inner = freezer.freeze()
        inner.thaw()
        with pytest.raises(FreezeError, match="was thawed before this block"), inner:
            pytest.fail("entered")
        with freezer.freeze():  # the outer one stands
            pass
