"""Looks: whose frames are read while he sleeps does not run before the look has ended.

A look is stopped in its middle, as a signal handler or the system may: then one thread wakes that
it has claimed.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import CodeType
from typing import Any

import pytest

import freezethreads
from freezethreads import FreezeError, Freezer, FreezeTimeout
from freezethreads._ground import files
from freezethreads._ground.frames import current_frames
from freezethreads._machine import bar, looks, trap
from freezethreads._machine.bar import Bar
from helpers import WAIT, start, start_own, wait_for, wait_until
from machine import Blocked, loaded, needs_monitoring, nothing_is_left, spin

pytestmark = needs_monitoring

A_WHILE = 0.05
"""Seconds in which a thread that does not wait for anything would have gone on."""


@pytest.fixture(autouse=True)
def leaves_nothing() -> Iterator[None]:
    yield
    assert nothing_is_left()
    assert not trap._stays
    assert not looks.under_way


def in_a_look_at(
    monkeypatch: pytest.MonkeyPatch,
    ident: int | None,
    call: Callable[[Bar], object],
    step: str = "_shelter_of",
) -> list[Bar]:
    """Have `call` made in the middle of the first look that reads where that thread is, before that
    step.

    In the list is the bar, when that was done.
    """
    original, begun, made = getattr(Bar, step), list[Bar](), list[Bar]()

    def call_and_go_on(self: Bar, looked_at: int, *arguments: Any, **named: Any) -> Any:
        if looked_at == ident and not begun:
            begun.append(self)
            call(self)
            made.append(self)
        return original(self, looked_at, *arguments, **named)

    monkeypatch.setattr(Bar, step, call_and_go_on)
    return made


def expire(freezer: Freezer, standing: Bar) -> None:
    """What the watchdog does when a lease runs out."""
    freezer._controller.expire(standing.freeze)


def test_no_thread_runs_while_it_is_looked_at_though_the_lease_runs_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    freezer, blocked, ran = Freezer(), Blocked(), list[bool]()

    def run_out(standing: Bar) -> None:
        expiring = start_own(expire, freezer, standing)
        wait_until(lambda: standing.freeze.done)
        time.sleep(A_WHILE)
        blocked.release()
        time.sleep(A_WHILE)
        ran.append(blocked.came_back)
        ends.append(expiring)

    ends: list[Any] = []
    made = in_a_look_at(monkeypatch, blocked.worker.ident, run_out)
    with pytest.raises(FreezeError), freezer.freeze(where="anywhere"):
        pass
    assert made
    assert ran == [False]
    for each in ends:
        each.finish()
    blocked.finish()


entered = False
its_lock = threading.Lock()


def enter() -> None:
    global entered
    with its_lock as entered:  # this is one instruction, before which it has to stand
        spin()


def test_who_wakes_while_it_is_counted_does_not_decide_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would find itself in a section, and go on."""
    its_lock.acquire()
    worker = start(enter)
    wait_until(lambda: is_in(worker.ident, enter.__code__))

    def wake(standing: Bar) -> None:
        its_lock.release()
        time.sleep(A_WHILE)

    made = in_a_look_at(monkeypatch, worker.ident, wake, "_note")
    with freezethreads.freeze(where="unlocked", timeout=WAIT):
        assert made
        time.sleep(A_WHILE)
        assert not entered
    worker.finish()
    assert entered


OWN = """
def wait(lock, ran):
    lock.acquire()
    ran.append(True)
"""


def test_no_thread_runs_in_our_own_code_while_it_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There it is never stopped for a freeze."""
    lock, ran, seen = threading.Lock(), list[bool](), list[bool]()
    names: dict[str, Any] = {}
    exec(compile(OWN, os.path.join(os.path.dirname(files.__file__), "waits.py"), "exec"), names)
    lock.acquire()
    worker = start(names["wait"], lock, ran)
    wait_until(lambda: is_in(worker.ident, names["wait"].__code__))

    def wake(standing: Bar) -> None:
        lock.release()
        time.sleep(A_WHILE)
        seen.extend(ran or [False])

    made = in_a_look_at(monkeypatch, worker.ident, wake)
    with freezethreads.freeze(where="anywhere", timeout=WAIT):
        pass
    assert made
    assert seen == [False]
    worker.finish()


def is_in(ident: int | None, code: CodeType) -> bool:
    """Whether that is the code of the innermost frame of a thread."""
    frame = current_frames().get(ident or 0)
    return frame is not None and frame.f_code is code


@pytest.mark.parametrize("step", ["_shelter_of", "_note"])
def test_a_thread_that_another_freeze_lets_go_stays_while_it_is_looked_at(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And from then on, if it has been found to stand before."""
    with loaded(spin=spin) as load:
        ident = load.workers[0].ident or 0
        other, stays = Freezer().hold(where="anywhere"), list[object]()

        def let_go(standing: Bar) -> None:
            stays.append(trap._stays.get(ident))
            other.thaw()
            time.sleep(A_WHILE)
            stays.append(trap._stays.get(ident))

        made = in_a_look_at(monkeypatch, ident, let_go, step)
        with freezethreads.freeze(where="anywhere", timeout=WAIT):
            before = dict(load.counts)
            time.sleep(A_WHILE)
            assert load.counts == before
            stays.append(trap._stays.get(ident))
        assert made
        assert stays[0] is not None
        assert stays[1] is stays[0]
        assert (stays[2] is stays[0]) == (step == "_note")
        load.goes_on()


def test_a_look_that_begins_after_the_thaw_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thaw has not seen it, and does not wait for it."""
    freezer, blocked, make = Freezer(), Blocked(), looks._make

    def thaw_and_make(look: Any, call: Any) -> bool:
        freezer._controller.thaw(look.bar.freeze)
        return make(look, call)

    monkeypatch.setattr(looks, "_make", thaw_and_make)
    made = in_a_look_at(monkeypatch, blocked.worker.ident, lambda _: None)
    with pytest.raises(FreezeError), freezer.freeze(where="anywhere"):
        pass
    assert not made
    blocked.finish()


def test_a_look_that_has_ended_reads_nothing() -> None:
    look, frame = looks.Look(None, ()), sys._getframe()
    still: Any = look.through(frame)
    names = [name for name, one in vars(looks.StillFrame).items() if isinstance(one, property)]
    assert len(names) > 5
    for name in names:
        getattr(still, name)
    assert still.f_locals["look"] is look
    look.end()
    for name in names:
        with pytest.raises(looks.LookEnded):
            getattr(still, name)


def test_a_thread_that_makes_a_call_for_a_world_counts_for_no_other_freezer() -> None:
    """Though it stands in the trap, with the call above."""
    one, other, over = Freezer("one"), Freezer("other"), False
    ready, is_called, may_return = threading.Event(), threading.Event(), threading.Event()

    def run() -> None:
        with one.register(name="both"), other.register(group="both"):
            ready.set()
            while not over:
                spin()

    def wait() -> None:
        is_called.set()
        wait_for(may_return)

    def freeze_meanwhile() -> None:
        wait_for(is_called)
        try:
            with (
                pytest.raises(FreezeTimeout),
                other.freeze(where="anywhere", group="both", timeout=2 * A_WHILE),
            ):
                pass
        finally:
            may_return.set()

    worker = start(run)
    wait_for(ready)
    with one.freeze(where="anywhere") as world:
        freezes = start_own(freeze_meanwhile)
        world.call(worker, wait)
        freezes.finish()
    over = True
    worker.finish()


def test_nobody_leaves_the_trap_while_it_is_looked_at() -> None:
    """Whatever it has done there; a controller looks at the threads of its own."""
    ended, left = list[bool](), list[bool]()

    def be_looked_at() -> None:
        look = looks.Look(None, [threading.get_ident()])
        look.looker = 0
        looks.under_way[look] = None
        looker.append(start(end_later, look))

    def end_later(look: looks.Look) -> None:
        time.sleep(A_WHILE)
        ended.append(not left)
        look.end()

    looker: list[Any] = []
    trap._stay(sys._getframe(), be_looked_at)
    left.append(True)
    looker[0].finish()
    assert ended == [True]


class Untouchable:
    """A frame of which nobody may ask anything."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"somebody asks for its {name}")


def test_nobody_reads_the_frames_of_one_who_has_arrived(
    where: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be on its way into the refrigerator, or out of it."""
    stopped = set[int]()

    def frames() -> dict[int, Any]:
        for each in list(trap.bars):
            stopped.update(each.stopped)  # type: ignore[attr-defined]
        return {
            ident: Untouchable() if ident in stopped else frame
            for ident, frame in current_frames().items()
        }

    monkeypatch.setattr(bar, "current_frames", frames)
    lock, ready, over = threading.Lock(), threading.Event(), threading.Event()

    def hold_it() -> None:
        with lock:
            ready.set()
            over.wait(WAIT)

    worker = start(hold_it if where == "anywhere" else spin)
    if where == "anywhere":
        wait_for(ready)
    blocked = Blocked()
    with loaded(spin=spin, other=spin), freezethreads.freeze(where=where, timeout=WAIT) as world:
        assert [held.lock for held in world.locks] == ([lock] if where == "anywhere" else [])
        assert stopped
    over.set()
    worker.finish()
    blocked.finish()


def test_a_controller_may_thaw_in_the_middle_of_its_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a signal handler, which then waits for one that it has let go: nobody waits for it."""
    freezer, blocked, took = Freezer(), Blocked(), list[float]()

    def thaw(standing: Bar) -> None:
        began = time.monotonic()
        freezer._controller.thaw(standing.freeze)
        blocked.release()
        blocked.worker.join(WAIT)
        took.append(time.monotonic() - began)

    made = in_a_look_at(monkeypatch, blocked.worker.ident, thaw)
    with pytest.raises(FreezeError), freezer.freeze(where="anywhere"):
        pass
    assert made
    assert took[0] < WAIT / 20
    blocked.finish()


@pytest.mark.parametrize("step", ["_shelter_of", "_note", "_arrive"])
def test_nobody_waits_for_a_look_that_does_not_go_on(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread is in a signal handler, say. It ends there, and counts nobody who has run."""
    lock, waits, is_inside = threading.Lock(), list[bool](), list[bool]()

    def enter_a_section() -> None:
        waits.append(True)
        with lock:
            is_inside.append(True)
            time.sleep(A_WHILE)

    lock.acquire()
    worker = start(enter_a_section)

    def keep_waiting(standing: Bar) -> None:
        lock.release()
        wait_until(lambda: bool(is_inside))

    wait_until(lambda: bool(waits))
    monkeypatch.setattr(looks, "_PATIENCE", A_WHILE)
    made = in_a_look_at(monkeypatch, worker.ident, keep_waiting, step)
    with freezethreads.freeze(where="unlocked", timeout=WAIT):
        assert made
        assert lock.acquire(blocking=False)
        lock.release()
    worker.finish()


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_the_child_of_a_fork_in_the_middle_of_a_look_works(monkeypatch: pytest.MonkeyPatch) -> None:
    freezer, blocked, pids, left = Freezer(), Blocked(), list[int](), list[object]()

    def fork(standing: Bar) -> None:
        pids.append(os.fork())
        left.extend(looks.under_way)

    made = in_a_look_at(monkeypatch, blocked.worker.ident, fork)
    status = 1
    try:
        with suppress(FreezeError), freezer.freeze(where="anywhere", timeout=WAIT):
            assert made
        if pids == [0] and not left:
            with loaded(spin=spin) as load:
                with freezer.freeze(where="anywhere", timeout=WAIT) as world:
                    assert len(world.threads) == 1
                load.goes_on()
            status = 0
    finally:
        if pids == [0]:
            os._exit(status)
    assert os.waitpid(pids[0], 0)[1] == 0
    blocked.finish()
