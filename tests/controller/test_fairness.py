"""Promise 9: freezes back to back starve nobody."""

from __future__ import annotations

import threading

import pytest

from freezethreads import Freezer, FreezeTimeout
from freezethreads._ground.completion import Completion
from freezing import Pause, actor, at_bell, before, looping, puppet
from helpers import WAIT, wait_for


class Counting:
    """What a puppet does until it is `over`: it counts, and passes safepoints."""

    def __init__(self, freezer: Freezer) -> None:
        self.freezer = freezer
        self.count = 0
        self.over = False

    def loop(self) -> None:
        while not self.over:
            self.count += 1
            self.freezer.safepoint()


def test_between_two_freezes_each_thread_runs_as_far_as_its_next_safepoint() -> None:
    freezer = Freezer()
    with looping(freezer, 4) as loops:
        before_it = [-1] * 4
        for _ in range(50):
            with freezer.freeze(timeout=WAIT):
                counts = list(loops.counts)
            assert all(new > old for old, new in zip(before_it, counts, strict=True))
            before_it = counts


def test_a_thread_thawed_before_it_began_to_wait_runs_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. a thread has said that it stopped, and has not begun to wait; the freeze stands
    2. the thaw, and the next freeze at once
    3. that freeze waits for the thread, which runs as far as its next safepoint
    """
    freezer = Freezer()
    counting = Counting(freezer)
    with puppet(freezer) as thread:
        pause = Pause(thread.worker)
        before(monkeypatch, Completion, "enter", pause)
        looping_on = thread.tell(counting.loop)
        world = freezer.freeze(timeout=WAIT)
        pause.wait()
        world.thaw()
        was = counting.count
        with pytest.raises(FreezeTimeout):
            freezer.freeze(timeout=0.05)
        pause.go()
        with freezer.freeze(timeout=WAIT):
            assert counting.count > was
        counting.over = True
        looping_on.result(WAIT)


def test_a_thread_at_which_somebody_looks_during_the_thaw_runs_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. a thread stands; the thaw has begun, and has not come to it
    2. somebody looks at all threads, and finds the freeze done
    3. the thaw ends, and the next freeze is asked for, before the thread has woken
    4. that freeze waits until the thread has run as far as its next safepoint
    """
    freezer = Freezer()
    counting = Counting(freezer)
    with puppet(freezer) as thread, actor() as next_one:
        wakes = Pause(thread.worker)
        before(monkeypatch, Completion, "leave", wakes)
        looping_on = thread.tell(counting.loop)
        world = freezer.freeze(timeout=WAIT)
        was = counting.count
        before(monkeypatch, Completion, "complete_all", lambda _: freezer.threads())
        world.thaw()
        wakes.wait()
        asks = at_bell(monkeypatch, next_one.worker)
        freezing = next_one.tell(freezer.freeze, timeout=WAIT)
        wait_for(asks)
        wakes.go()
        with freezing.result(WAIT):
            counting.over = True
            assert counting.count > was
        looping_on.result(WAIT)


def test_a_thread_that_stood_for_a_world_and_a_hold_that_overlap_runs_after_both() -> None:
    """Which were thawed before it woke; so the one had no need to let it go, and the other found it
    standing for the one."""
    freezer = Freezer()
    with looping(freezer, 1) as loops:
        before_it = -1
        for _ in range(50):
            world = freezer.freeze(timeout=WAIT)
            hold = freezer.hold(timeout=WAIT)
            assert loops.counts[0] > before_it
            before_it = loops.counts[0]
            world.thaw()
            hold.thaw()


def test_freezes_back_to_back_do_not_keep_anybody_out() -> None:
    freezer = Freezer()
    stop = threading.Event()

    def control() -> None:
        while not stop.is_set():
            freezer.run_frozen(int, timeout=WAIT)

    def come_and_go() -> None:
        for _ in range(20):
            with freezer.register(), freezer.blocking():
                pass

    with looping(freezer, 1), actor() as controller, actor() as thread:
        controlling = controller.tell(control)
        try:
            thread.do(come_and_go)
        finally:
            stop.set()
        controlling.result(WAIT)
