"""Promises 3 and 7: all or nothing, time-outs, turns, freezing again; and bad arguments."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import pytest

from freezethreads import (
    FreezeError,
    Freezer,
    FreezeTimeout,
    NotRegistered,
    State,
)
from freezethreads._ground.completion import Bell
from freezethreads._ground.deadline import Deadline
from freezethreads._registry.requests import Asked, Freeze
from freezethreads._registry.status import Status
from freezing import (
    Pause,
    actor,
    after,
    at_bell,
    before,
    before_it_comes_back,
    looping,
    puppet,
    puppets,
)
from helpers import WAIT, wait_for


def test_after_a_time_out_everybody_runs_and_nothing_is_armed() -> None:
    freezer = Freezer()
    with looping(freezer, 3) as loops, puppet(freezer) as late:
        with pytest.raises(FreezeTimeout):
            freezer.freeze(timeout=0.2)
        assert not freezer.armed
        loops.progress()
        late.do(freezer.safepoint)
        passing = late.pass_safepoints(stop := threading.Event())
        freezer.freeze(timeout=WAIT).thaw()
        stop.set()
        passing.result(WAIT)


def test_a_request_that_stays_on_a_list_asks_for_nothing_and_is_dropped() -> None:
    """It is done, so no safepoint stops for it; the next request takes it off."""
    freezer = Freezer()
    with puppet(freezer) as thread:
        with pytest.raises(FreezeTimeout):
            freezer.hold(timeout=0)
        stale = Freeze(freezer._registry, Asked("freeze", reason="stale"))
        word = thread.record.parking.word
        word.ask(Status((stale,)))
        assert thread.record.is_asked
        freezer._controller.thaw(stale)
        freezer._registry.announce(stale)
        assert stale in word._last[0].freezes
        assert not thread.record.is_asked
        thread.do(freezer.safepoint)
        freezer._registry.settle(stale)
        with pytest.raises(FreezeTimeout):
            freezer.hold(timeout=0)
        assert stale not in word._last[0].freezes
        assert not thread.record.is_asked


def test_the_last_to_arrive_wakes_a_controller_that_has_not_gone_to_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. the controller sees that somebody is awaited, and is about to wait
    2. the last thread arrives, and rings
    3. the controller waits, and returns at once
    """
    freezer = Freezer()
    over = threading.Event()
    with puppet(freezer) as thread, actor() as controller:
        pause = Pause(controller.worker)
        before(monkeypatch, Bell, "wait", pause)
        freezing = controller.tell(freezer.freeze, timeout=None)
        pause.wait()
        region = thread.block(over)
        pause.go()
        freezing.result(WAIT).thaw()
        over.set()
        region.result(WAIT)


def test_freezing_again_inside_ones_own_freeze_is_counted() -> None:
    freezer = Freezer()
    with looping(freezer, 2, "a.b") as loops:
        outer = freezer.freeze(timeout=WAIT, group="a")
        inner = freezer.freeze(timeout=0, group="a.b")
        counts = list(loops.counts)
        inner.thaw()
        inner.thaw()
        with pytest.raises(FreezeError):
            freezer.freeze(timeout=0, group="")
        assert all(info.state is State.FROZEN for info in outer.threads)
        assert loops.counts == counts
        again = freezer.freeze(group="a")
        outer.thaw()
        assert all(info.state is State.FROZEN for info in again.threads)
        again.thaw()
        loops.progress()


def test_run_frozen_returns_or_raises_what_the_callback_does_and_thaws() -> None:
    freezer = Freezer()
    with looping(freezer, 1) as loops:
        assert freezer.run_frozen(divmod, 7, 2, timeout=WAIT) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            freezer.run_frozen(divmod, 7, 0, timeout=WAIT)
        loops.progress()
    assert not freezer.armed


def test_worlds_never_overlap() -> None:
    freezer = Freezer()
    inside: list[int] = []
    most: list[int] = []

    def callback() -> None:
        inside.append(1)
        most.append(len(inside))
        inside.pop()

    def control() -> None:
        for _ in range(50):
            freezer.run_frozen(callback, timeout=WAIT)

    with looping(freezer, 2), actor() as one, actor() as two, puppet(freezer) as three:
        controls = [thread.tell(control) for thread in (one, two, three)]
        stop = threading.Event()
        three.pass_safepoints(stop)
        for future in controls:
            future.result(WAIT)
        stop.set()
    assert set(most) == {1}


def test_turns_are_first_come_first_served(monkeypatch: pytest.MonkeyPatch) -> None:
    freezer = Freezer()
    order: list[int] = []
    world = freezer.freeze()
    controllers = [actor() for _ in range(5)]
    threads = [controller.__enter__() for controller in controllers]
    futures = []
    for index, thread in enumerate(threads):
        queued = at_bell(monkeypatch, thread.worker)
        futures.append(thread.tell(freezer.run_frozen, order.append, index, timeout=WAIT))
        wait_for(queued)
    world.thaw()
    for future in futures:
        future.result(WAIT)
    for controller in controllers:
        controller.__exit__(None, None, None)
    assert order == [0, 1, 2, 3, 4]


def test_a_turn_given_up_at_the_deadline_goes_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. one controller has the freezer, a second and a third wait for it
    2. the second is at its deadline, and about to raise
    3. the first leaves: the second has the turn
    4. the second raises; the third gets its turn
    """
    freezer = Freezer()
    with actor() as second, actor() as third:
        world = freezer.freeze()
        pause = Pause(second.worker)
        after(monkeypatch, Deadline, "passed", pause)
        gives_up = second.tell(freezer.freeze, timeout=0)
        pause.wait()
        queued = at_bell(monkeypatch, third.worker)
        freezing = third.tell(freezer.freeze, timeout=WAIT)
        wait_for(queued)
        world.thaw()
        pause.go()
        error = gives_up.exception(WAIT)
        assert isinstance(error, FreezeTimeout)
        assert error.stragglers == ()
        freezing.result(WAIT).thaw()


def test_a_registered_thread_that_waits_for_its_turn_can_be_frozen() -> None:
    freezer = Freezer()
    with puppets(freezer, "a", "b") as (one, two):
        stop = threading.Event()
        world = freezer.freeze(timeout=WAIT, group="nobody")
        futures = [thread.tell(freezer.run_frozen, int, timeout=WAIT) for thread in (one, two)]
        for thread in (one, two):
            thread.pass_safepoints(stop)
        world.thaw()
        assert [future.result(WAIT) for future in futures] == [0, 0]
        stop.set()


def test_a_frozen_controller_does_not_keep_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    1. a registered controller gets its turn, and has not come back from the wait
    2. a hold finds it blocked, and stands
    3. it comes back, and parks; another controller asks for a turn and gets it
    """
    freezer = Freezer()
    with puppet(freezer, "held") as thread:
        pause = Pause(thread.worker)
        before_it_comes_back(monkeypatch, pause)
        freezing = thread.tell(freezer.run_frozen, int, timeout=WAIT, group="nobody")
        pause.wait()
        hold = freezer.hold(timeout=WAIT, group="held")
        parked = at_bell(monkeypatch, thread.worker)
        pause.go()
        wait_for(parked)
        freezer.freeze(timeout=1, group="others").thaw()
        assert not freezing.done()
        hold.thaw()
        assert freezing.result(WAIT) == 0


BAD: list[tuple[type[Exception], Callable[[Freezer], Any]]] = [
    (ValueError, lambda f: f.freeze(timeout=-1)),
    (ValueError, lambda f: f.freeze(timeout=math.nan)),
    (TypeError, lambda f: f.freeze(timeout="1")),  # type: ignore[arg-type]
    (TypeError, lambda f: f.freeze(timeout=True)),
    (ValueError, lambda f: f.freeze(group="a..b")),
    (ValueError, lambda f: f.hold(group=".a")),
    (ValueError, lambda f: f.hold(group="a. b")),
    (TypeError, lambda f: f.hold(group=None)),  # type: ignore[arg-type]
    (TypeError, lambda f: f.freeze(reason=1)),  # type: ignore[arg-type]
    (ValueError, lambda f: f.freeze(lease=0)),
    (ValueError, lambda f: f.hold(lease=-1)),
    (ValueError, lambda f: f.run_frozen(int, lease=math.nan)),
    (TypeError, lambda f: f.run_frozen(None)),  # type: ignore[arg-type]
    (TypeError, lambda f: f.todo(1, None)),  # type: ignore[arg-type]
    (TypeError, lambda f: f.todo_all(7)),  # type: ignore[arg-type]
    (ValueError, lambda f: f.todo_all(int, group="a.")),
    (TypeError, lambda f: f.todo(threading.get_ident(), int, priority="high")),  # type: ignore[arg-type]
    (TypeError, lambda f: f.todo(threading.get_ident(), int, priority=math.nan)),
    (TypeError, lambda f: f.todo("main", int)),  # type: ignore[arg-type]
    (TypeError, lambda f: f.todo(True, int)),
    (NotRegistered, lambda f: f.todo(threading.current_thread(), int)),
    (NotRegistered, lambda f: f.todo(threading.Thread(), int)),
    (NotRegistered, lambda f: f.todo(0, int)),
    (NotRegistered, lambda f: f.unregister()),
    (TypeError, lambda f: f.register(7)),  # type: ignore[arg-type]
    (TypeError, lambda f: f.register(waker=7)),  # type: ignore[arg-type]
    (ValueError, lambda f: f.register(group="a b..")),
    (TypeError, lambda f: Freezer(None)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("error", "call"), BAD)
def test_bad_arguments(error: type[Exception], call: Callable[[Freezer], Any]) -> None:
    freezer = Freezer()
    with looping(freezer, 1) as loops:
        with pytest.raises(error):
            call(freezer)
        assert not freezer.armed
        assert len(freezer.threads()) == 1
        loops.progress()
