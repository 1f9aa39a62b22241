"""The peers' cases, of threads that nobody prepared: `where="unlocked"`, and `"anywhere"`.

Left out are those about what only a registered thread has: todos, moves and regions, and the ways
in which a freeze at safepoints can be asked for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from freezethreads import Freezer, FreezeTimeout, LeaseExpired
from helpers import WAIT, start, wait_for, wait_until
from machine import Load, generate, loaded, needs_monitoring, nothing_is_left, recurse, sleep, spin

pytestmark = needs_monitoring


@pytest.fixture(params=("unlocked", "anywhere"))
def where(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    yield Freezer("peers")
    assert nothing_is_left()


def stands(load: Load) -> Callable[[], bool]:
    """Whether nobody has gone on since now."""
    before = dict(load.counts)
    return lambda: load.counts == before


# The Linux kernel's: cgroup v2 and LTP.


def test_simple(freezer: Freezer, where: Any) -> None:
    """test_freezer.c, simple: a hundred loops; none moves while they are held, and then all do."""
    with loaded(**{f"n{n}": sleep for n in range(100)}) as load:
        with freezer.hold(where=where, timeout=WAIT):
            still = stands(load)
            time.sleep(0.02)  # in which each would have come back from its sleep
            assert still()
        load.goes_on()


def test_freeze_thaw(freezer: Freezer, where: Any) -> None:
    """freeze_thaw.sh, again and again: after each cycle all are alive and run."""
    with loaded(a=spin, b=recurse, c=generate, d=sleep) as load:
        for _ in range(20):
            freezer.hold(where=where, timeout=WAIT).thaw()
            load.goes_on()


@contextmanager
def holding_back(freezer: Freezer) -> Iterator[None]:
    """A thread that is not to be stopped just now."""
    ready, over = threading.Event(), threading.Event()

    def hold_back() -> None:
        with freezer.no_freeze():
            ready.set()
            wait_for(over)

    worker = start(hold_back)
    wait_for(ready)
    try:
        yield
    finally:
        over.set()
        worker.finish()


def test_freeze_cancel(freezer: Freezer, where: Any) -> None:
    """freeze_cancel.sh: some have stopped and one holds back; it is given up, and all run."""
    with loaded(a=spin, b=sleep) as load:
        for _ in range(5):
            with holding_back(freezer):
                with pytest.raises(FreezeTimeout):
                    freezer.freeze(where=where, timeout=0.1)
                assert nothing_is_left()
                load.goes_on()
            with freezer.freeze(where=where, timeout=WAIT):
                assert stands(load)()


def test_write_freezing(freezer: Freezer, where: Any) -> None:
    """freeze_write_freezing.sh: it is asked again while it is under way; the second one waits."""

    def freeze() -> None:
        freezer.freeze(where=where, timeout=WAIT).thaw()

    with loaded(a=spin) as load:
        with freezer.no_freeze():  # this thread is one of those who are to stop
            workers = [start(freeze) for _ in range(2)]
            wait_until(lambda: bool(freezer._registry.active))
            assert len(freezer._registry.active) == 1
        for worker in workers:
            worker.finish()
        load.goes_on()


def test_freeze_sleep_thaw(freezer: Freezer, where: Any) -> None:
    """freeze_sleep_thaw.sh: a sleep ends while all stand, and its thread goes on after the thaw."""
    ready, woke = threading.Event(), threading.Event()

    def run() -> None:
        ready.set()
        time.sleep(0.05)
        woke.set()

    worker = start(run)
    wait_for(ready)
    with freezer.freeze(where=where, timeout=WAIT):
        began = woke.is_set()
        time.sleep(0.1)
        assert woke.is_set() == began
    wait_for(woke)
    worker.finish()


def test_ptraced(freezer: Freezer, where: Any) -> None:
    """test_freezer.c, ptraced: two hold them; whoever lets go first leaves the other in force."""
    with loaded(a=spin, b=sleep) as load:
        for n in (0, 1):
            holds = [freezer.hold(where=where, timeout=WAIT) for _ in range(2)]
            holds.pop(n).thaw()
            still = stands(load)
            time.sleep(0.01)
            assert still()
            holds.pop().thaw()
            load.goes_on()


def test_fork_freeze(freezer: Freezer, where: Any) -> None:
    """fork_freeze.sh: threads that start threads without end are held, and burn on."""
    room, over, born = threading.Semaphore(8), threading.Event(), [0]

    def burn() -> None:
        born[0] += 1
        while not over.is_set():
            if room.acquire(blocking=False):
                start(burn)
                break
            spin()
            time.sleep(0.0005)
        room.release()

    assert room.acquire(timeout=WAIT)
    start(burn)
    try:
        for _ in range(10):
            with freezer.hold(where=where, timeout=WAIT):
                before = born[0]
                time.sleep(0.005)
                assert born[0] == before
            wait_until(lambda n=before: born[0] > n)  # type: ignore[misc]
    finally:
        over.set()
        for _ in range(8):
            assert room.acquire(timeout=WAIT)


# HotSpot's handshakes and safepoints, and Go's.


def test_a_loop_without_a_call(freezer: Freezer, where: Any) -> None:
    """Go's issue 10958: a loop in which nothing is called is stopped all the same."""
    over = [False]
    count = [0]

    def loop() -> None:
        while not over[0]:
            count[0] += 1

    worker = start(loop)
    wait_until(lambda: count[0] > 0)
    try:
        for _ in range(20):
            with freezer.freeze(where=where, timeout=WAIT):
                before = count[0]
                time.sleep(0.001)
                assert count[0] == before
            wait_until(lambda n=before: count[0] > n)  # type: ignore[misc]
    finally:
        over[0] = True
        worker.finish()


def test_handshake_walk_stack(freezer: Freezer, where: Any) -> None:
    """HandshakeWalkStackTest: the stack of each thread is whole, and the same at a second look."""
    with loaded(a=recurse, b=generate, c=sleep) as load:
        for _ in range(10):
            with freezer.freeze(where=where, timeout=WAIT) as world:
                first, second = (
                    {info.name: str(info.stack()) for info in world.threads} for _ in range(2)
                )
                assert first == second
                assert all("in run" in first[name] or "name run" in first[name] for name in "abc")
            load.goes_on()


def test_handshake_walk_exit(freezer: Freezer, where: Any) -> None:
    """HandshakeWalkExitTest: threads that exit all the time are held and let go."""
    over = [False]

    def start_and_end() -> None:
        while not over[0]:
            for worker in [start(spin) for _ in range(4)]:
                worker.finish()

    worker = start(start_and_end)
    try:
        for _ in range(30):
            freezer.freeze(where=where, timeout=WAIT).thaw()
    finally:
        over[0] = True
        worker.finish()


def test_handshake_suspend_exit(freezer: Freezer, where: Any) -> None:
    """HandshakeSuspendExitTest: several that stop each other come to an end, and so do the rest."""
    done = [0, 0, 0]

    def freeze_often(n: int) -> None:
        for _ in range(10):
            freezer.freeze(where=where, timeout=WAIT).thaw()
            done[n] += 1

    with loaded(a=spin, b=sleep) as load:
        for worker in [start(freeze_often, n) for n in range(3)]:
            worker.finish()
        assert done == [10, 10, 10]
        load.goes_on()


def test_a_callback_that_overruns(freezer: Freezer, where: Any) -> None:
    """TestAbortOnVMOperationTimeout: the lease ends it, and all go on."""
    with loaded(a=spin) as load:
        with pytest.raises(LeaseExpired), freezer.freeze(where=where, timeout=WAIT, lease=0.05):
            load.goes_on()
        load.goes_on()


# What their bug reports tell of.


def test_after_any_failure_the_next_freeze_works(freezer: Freezer, where: Any) -> None:
    """runc #2791: a group that was stuck half-way."""

    class Failure(BaseException):
        pass

    with loaded(a=spin, b=recurse) as load:
        for _ in range(10):
            with pytest.raises(Failure), freezer.freeze(where=where, timeout=WAIT):
                raise Failure
            assert nothing_is_left()
            load.goes_on()


def test_freezes_back_to_back_starve_nobody(freezer: Freezer, where: Any) -> None:
    """CPython #151518: each thread gets on, if slowly."""
    with loaded(a=spin, b=sleep, c=recurse) as load:
        for _ in range(10):
            before = dict(load.counts)
            deadline = time.monotonic() + WAIT
            while any(load.counts[name] == before[name] for name in before):
                assert time.monotonic() < deadline, "somebody starves"
                freezer.freeze(where=where, timeout=WAIT).thaw()


def test_a_lock_that_is_handed_over_in_the_world(freezer: Freezer, where: Any) -> None:
    """CPython #144513: whoever gets it stands with it, is shown, and has it after the thaw."""
    lock, got = threading.Lock(), threading.Event()

    def take() -> None:
        with lock:
            got.set()

    lock.acquire()
    worker = start(take)
    with freezer.freeze(where=where, timeout=WAIT) as world:
        lock.release()
        wait_until(lambda: bool(world.locks))
        assert not got.is_set()
    wait_for(got)
    worker.finish()
