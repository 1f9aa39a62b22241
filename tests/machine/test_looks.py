"""Looks: whose frames are read while he sleeps does not run before the look has ended.

A look is stopped in its middle, as a signal handler or the system may: then one thread wakes that
it has claimed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import CodeType
from typing import Any

import pytest

import freezethreads
from freezethreads import FreezeError, Freezer
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
    monkeypatch: pytest.MonkeyPatch, ident: int | None, call: Callable[[Bar], object]
) -> list[Bar]:
    """Have `call` made in the middle of the first look that reads where that thread is.

    In the list is the bar, when that was done.
    """
    original, begun, made = Bar._shelter_of, list[Bar](), list[Bar]()

    def shelter_of(self: Bar, looked_at: int, *where: Any) -> Any:
        if looked_at == ident and not begun:
            begun.append(self)
            call(self)
            made.append(self)
        return original(self, looked_at, *where)

    monkeypatch.setattr(Bar, "_shelter_of", shelter_of)
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


def test_a_thread_that_another_freeze_lets_go_stays_while_it_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with loaded(spin=spin) as load:
        ident = load.workers[0].ident or 0
        other, stayed = Freezer().hold(where="anywhere"), list[bool]()

        def let_go(standing: Bar) -> None:
            other.thaw()
            time.sleep(A_WHILE)
            stayed.append(ident in trap._stays)

        made = in_a_look_at(monkeypatch, ident, let_go)
        with freezethreads.freeze(where="anywhere", timeout=WAIT):
            before = dict(load.counts)
            time.sleep(A_WHILE)
            assert load.counts == before
        assert made
        assert stayed == [True]
        load.goes_on()


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
    lock, waits, is_inside, called = threading.Lock(), list[bool](), list[bool](), list[bool]()
    original = getattr(Bar, step)

    def enter_a_section() -> None:
        waits.append(True)
        with lock:
            is_inside.append(True)
            time.sleep(A_WHILE)

    lock.acquire()
    worker = start(enter_a_section)

    def keep_waiting(self: Bar, *arguments: Any, **named: Any) -> Any:
        if worker.ident in arguments and not called:
            called.append(True)
            lock.release()
            wait_until(lambda: bool(is_inside))
        return original(self, *arguments, **named)

    wait_until(lambda: bool(waits))
    monkeypatch.setattr(looks, "_PATIENCE", A_WHILE)
    monkeypatch.setattr(Bar, step, keep_waiting)
    with freezethreads.freeze(where="unlocked", timeout=WAIT):
        assert called
        assert lock.acquire(blocking=False)
        lock.release()
    worker.finish()


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_the_child_of_a_fork_in_the_middle_of_a_look_works(monkeypatch: pytest.MonkeyPatch) -> None:
    freezer, blocked, pids = Freezer(), Blocked(), list[int]()
    made = in_a_look_at(monkeypatch, blocked.worker.ident, lambda _: pids.append(os.fork()))
    status = 1
    try:
        with suppress(FreezeError), freezer.freeze(where="anywhere", timeout=WAIT):
            assert made
        if pids == [0]:
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
