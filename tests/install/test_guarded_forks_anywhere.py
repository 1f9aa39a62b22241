"""Forks under a guard, wherever they are made: in worlds, todos, calls and handlers."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from fork_helpers import had_by_another, looping
from freezethreads import ForkUnsafe, Freezer, ThreadBlocked, sync
from freezethreads._install import _forks
from freezing import puppet
from guard_helpers import HAS_ENGINE, SOON, fork_and_exit, held, needs_engine
from helpers import WAIT, start, wait_for, wait_until


@pytest.fixture
def freezer() -> Freezer:
    return Freezer()


@needs_engine
@pytest.mark.parametrize("where", ["safepoint", "unlocked", "anywhere"])
def test_in_a_world_of_its_own(freezer: Freezer, where: Any) -> None:
    lock, over = threading.Lock(), threading.Event()

    def live() -> None:  # is stopped by "anywhere" with the lock, perhaps, and is no member
        while not over.is_set():
            with lock:
                time.sleep(0.0005)
            time.sleep(0.0005)

    other = start(live)
    refused: list[str] = []
    try:
        with looping(freezer, "loop"), freezer.guard_forks(timeout=SOON):
            for _ in range(5):
                with freezer.freeze(timeout=WAIT, where=where) as world:
                    if world.locks:
                        with pytest.raises(ForkUnsafe):
                            os.fork()
                        continue
                    try:
                        assert fork_and_exit(lambda: not lock.acquire(timeout=0)) == 0
                    except ForkUnsafe as error:  # one stands between two steps of `threading`
                        refused.append(str(error))
    finally:
        over.set()
        other.finish()
    assert not refused or where == "anywhere"
    assert all("it is in code of threading" in why for why in refused)


def test_in_a_world_in_which_one_stands_with_a_lock(freezer: Freezer) -> None:
    """Nobody can go on before the fork, so that it is refused, though it has all the time."""
    lock = threading.Lock()
    with (
        held(lock, freezer),
        freezer.guard_forks(timeout=None),
        freezer.freeze(timeout=WAIT),
        pytest.raises(ForkUnsafe, match="holder"),
    ):
        os.fork()


def test_in_a_world_in_which_one_stands_with_a_lock_of_ours(freezer: Freezer) -> None:
    """That the lock itself knows, and no stack. Nobody can go on before the fork here either."""
    lock, over = sync.Lock(), threading.Event()
    with freezer.guard_forks(timeout=None), puppet(freezer) as thread:
        thread.do(lock.acquire)
        blocked = thread.block(over)
        with freezer.freeze(timeout=WAIT), pytest.raises(ForkUnsafe, match=r"puppet.*Lock"):
            os.fork()
        over.set()
        blocked.result(WAIT)
        thread.do(lock.release)


def test_in_a_world_of_a_group_others_stop_too(freezer: Freezer) -> None:
    """On 3.11 nobody can stop them besides, so there it is refused."""
    with (
        looping(freezer, "loop"),
        freezer.guard_forks(timeout=WAIT),
        freezer.freeze(timeout=WAIT, group="nobody"),
    ):
        if HAS_ENGINE:
            assert fork_and_exit() == 0
        else:
            with pytest.raises(ForkUnsafe, match="does not cover"):
                os.fork()


def test_in_a_todo(freezer: Freezer) -> None:
    with looping(freezer, "loop") as worker, freezer.guard_forks(timeout=WAIT) as guard:
        assert freezer.todo(worker, fork_and_exit).result(WAIT) == 0
        assert guard.forks == 1


@pytest.mark.parametrize("where", ["safepoint", "unlocked"] if HAS_ENGINE else ["safepoint"])
def test_in_a_call_of_somebody_elses_world(freezer: Freezer, where: Any) -> None:
    def call() -> bool:  # unless it was stopped in its sleep, a call of C, where it can make none
        with freezer.freeze(timeout=WAIT, where=where) as world:
            try:
                assert world.call(worker, fork_and_exit) == 0
            except ThreadBlocked:
                return False
        return True

    with looping(freezer, "caller") as worker, freezer.guard_forks(timeout=WAIT) as guard:
        wait_until(call)
        assert guard.forks == 1
        assert fork_and_exit() == 0


def test_in_a_call_for_a_world_whose_thread_has_a_lock(freezer: Freezer) -> None:
    lock = threading.Lock()
    with looping(freezer, "caller") as worker, freezer.guard_forks(timeout=SOON):
        with (
            freezer.freeze(timeout=WAIT) as world,
            lock,
            pytest.raises(ForkUnsafe, match="MainThread"),
        ):
            world.call(worker, os.fork)
        assert fork_and_exit() == 0


@needs_engine
def test_in_a_call_for_a_world_of_another_freezer(freezer: Freezer) -> None:
    other = Freezer("other")
    with (
        looping(other, "caller") as worker,
        freezer.guard_forks(timeout=WAIT),
        other.freeze(timeout=WAIT) as world,
    ):
        assert world.call(worker, fork_and_exit) == 0


def in_handler(call: Callable[[], object]) -> list[object]:
    """What `call` returned, or raised, in a signal handler of this thread."""
    results: list[object] = []

    def handle(*_: object) -> None:
        try:
            results.append(call())
        except ForkUnsafe as error:
            results.append(error)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        signal.raise_signal(signal.SIGUSR1)
        wait_until(lambda: bool(results))
    finally:
        signal.signal(signal.SIGUSR1, before)
    return results


@pytest.mark.parametrize("inside", ["nothing", "blocking", "no_freeze"])
def test_in_a_signal_handler(freezer: Freezer, inside: str) -> None:
    regions: dict[str, Any] = {"nothing": freezer.register, "blocking": freezer.blocking}
    with (
        looping(freezer, "loop"),
        freezer.guard_forks(timeout=WAIT),
        regions.get(inside, freezer.no_freeze)(),
    ):
        assert in_handler(fork_and_exit) == [0]


def test_in_a_signal_handler_that_has_interrupted_a_freeze(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would wait for its own thread."""
    results: list[object] = []
    ask = freezer._controller.ask

    def interrupted(*args: Any) -> None:
        results.extend(in_handler(fork_and_exit))
        ask(*args)

    with looping(freezer, "loop"), freezer.guard_forks(timeout=WAIT):
        with monkeypatch.context() as patch:
            patch.setattr(freezer._controller, "ask", interrupted)
            with freezer.freeze(timeout=WAIT):
                pass
        (error,) = results
        assert isinstance(error, ForkUnsafe)
        assert "is under way in this very thread" in str(error)
        assert fork_and_exit() == 0


def acquire_and_release(lock: Any) -> None:
    """Wait for a lock, and have it for a moment."""
    assert lock.acquire(timeout=WAIT)
    lock.release()


def test_with_a_lock_of_its_own(freezer: Freezer) -> None:
    """The child owns it, too, and can release it."""
    lock = threading.Lock()

    def release() -> int:
        lock.release()
        return not lock.acquire(timeout=0)

    waits = start(acquire_and_release, lock)
    with looping(freezer, "loop"), freezer.guard_forks(timeout=WAIT), lock:
        assert fork_and_exit(release) == 0
    waits.finish()


@needs_engine
def test_with_a_lock_for_which_one_waits_who_holds_another(freezer: Freezer) -> None:
    """That one cannot go on before the fork, and the child would find the other lock held."""
    mine, theirs = threading.Lock(), threading.Lock()

    def wait() -> None:
        with theirs, mine:
            pass

    with freezer.guard_forks(timeout=SOON):
        with mine:
            waits = start(wait, name="waits")
            wait_until(theirs.locked)
            with pytest.raises(ForkUnsafe, match=r"waits .*a section of theirs"):
                os.fork()
        waits.finish()


def test_two_at_once(freezer: Freezer) -> None:
    with looping(freezer, "loop"), freezer.guard_forks(timeout=WAIT) as guard:
        forkers = [start(lambda: [fork_and_exit() for _ in range(5)]) for _ in range(3)]
        assert [forker.finish(3 * WAIT) for forker in forkers] == [[0] * 5] * 3
        assert guard.forks == 15


def test_of_an_interpreter_that_has_no_other_thread(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is stopped: not even at the interpreter's end, when nobody could be."""
    monkeypatch.setattr(_forks, "_others", lambda idents: [])
    with freezer.guard_forks() as guard:
        assert fork_and_exit() == 0
        assert guard.forks == 1
    assert freezer.statistics().freezes == 0


def test_while_a_group_is_held(freezer: Freezer) -> None:
    with (
        looping(freezer, "loop"),
        had_by_another(lambda: freezer.hold(timeout=WAIT)),
        freezer.guard_forks(timeout=WAIT),
    ):
        assert fork_and_exit() == 0


def test_while_one_is_held_with_a_lock(freezer: Freezer) -> None:
    """Nobody can wait for the hold's end, so the fork is refused when its own time is over."""
    with (
        held(threading.Lock(), freezer),
        had_by_another(lambda: freezer.hold(timeout=WAIT)),
        freezer.guard_forks(timeout=SOON),
        pytest.raises(ForkUnsafe),
    ):
        os.fork()


def test_while_another_thread_has_a_world(freezer: Freezer) -> None:
    with (
        had_by_another(lambda: freezer.freeze(timeout=WAIT)),
        freezer.guard_forks(timeout=SOON),
        pytest.raises(ForkUnsafe) as caught,
    ):
        os.fork()
    assert "the time ran out while <freeze by controller> had the freezer" in str(caught.value)


def test_who_is_in_a_section_may_wait_for_who_has_stopped(freezer: Freezer) -> None:
    """As the manager of a process pool does: it joins a thread with a lock in its hands."""
    lock, over, has_it = threading.Lock(), threading.Event(), threading.Event()

    def end_soon() -> None:
        with freezer.register():
            while not over.is_set():
                freezer.safepoint()
            time.sleep(0.1)

    def join() -> None:
        with freezer.register("joins"), lock, freezer.blocking():
            has_it.set()
            worker.join(WAIT)

    worker = start(end_soon)
    joining = start(join)
    wait_for(has_it)
    with freezer.guard_forks(timeout=WAIT) as guard:
        over.set()
        assert fork_and_exit(lambda: not lock.acquire(timeout=0)) == 0
        assert guard.last is not None
    joining.finish()
    worker.finish()
