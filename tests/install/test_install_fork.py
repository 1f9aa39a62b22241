"""Forks of a program with an installation, and its end."""

from __future__ import annotations

import _thread
import logging
import multiprocessing
import os
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

import freezethreads
from fork_helpers import Fork, forked, in_child
from freezethreads import Freezer, Installation, State
from freezethreads._install._patches import Patch, Switch
from freezing import Pause
from helpers import WAIT, run_python, start, wait_for
from install_waits import WAITS, until, wait_in_wait, waiting


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("under test")


@pytest.fixture
def installation(freezer: Freezer) -> Iterator[Installation]:
    with freezethreads.install(freezer) as installation:
        yield installation


def check_child(freezer: Freezer, installation: Installation, enrolled: bool) -> None:
    """What works in the child."""
    me = threading.get_ident()
    assert [info.ident for info in freezer.threads()] == [me] * enrolled
    assert installation.missed == (() if enrolled else (threading.current_thread(),))
    for name in ("simple_queue_get", "lock_acquire", "event_wait", "sleep", "future_result"):
        with ExitStack() as stack:
            wait = WAITS[name](stack)
            with waiting(freezer, wait.call) as thread, freezer.freeze(timeout=WAIT) as world:
                assert [info.state for info in world.threads] == [State.FROZEN]
                wait.end()
                world.thaw()
                assert thread.finish() == wait.result
    assert type(threading._active_limbo_lock) is type(_thread.RLock())  # type: ignore[attr-defined]
    start(installation.uninstall).finish()
    assert freezer.threads() == ()
    assert type(threading.Lock()) is _thread.LockType


@pytest.mark.parametrize("enrolled", [False, True])
def test_the_child_goes_on(freezer: Freezer, installation: Installation, enrolled: bool) -> None:
    """Of all the threads that waited, none is left there."""
    if enrolled:
        installation.enrol()

    def body(fork: Fork) -> None:
        with ExitStack() as stack:
            waits = [WAITS[name](stack) for name in WAITS]
            threads = [start(wait.call) for wait in waits]
            for thread in threads:
                wait_in_wait(freezer, thread)
            fork()
            if in_child():
                return
            for wait, thread in zip(waits, threads, strict=True):
                wait.end()
                thread.finish()

    forked(body, lambda: check_child(freezer, installation, enrolled))


RAW = """
import _thread, os, threading
import freezethreads

def work():
    pid = os.fork()
    if pid:
        print(os.waitpid(pid, 0)[1])
        done.release()
        return
    assert type(threading.current_thread()).__name__ == "_MainThread"
    assert threading.current_thread() is threading.main_thread()
    (info,) = freezethreads.threads()
    assert info.ident == threading.get_ident()
    looked = threading.Event()
    thread = threading.Thread(target=looked.wait)
    thread.start()
    with freezethreads.freeze(timeout=10) as world:
        assert [info.name for info in world.threads] == [thread.name]
    looked.set()
    thread.join()
    os._exit(7)

freezethreads.install()
done = threading.Lock()
done.acquire()
_thread.start_new_thread(work, ())
done.acquire()
"""


def test_a_raw_thread_forks() -> None:
    """It is the main thread there, as it would be without us."""
    code = f"import warnings\nwarnings.simplefilter('ignore', DeprecationWarning)\n{RAW}"
    assert run_python(code).stdout == f"{7 << 8}\n"


def test_no_fork_sees_half_a_table(freezer: Freezer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork waits for whoever installs."""
    pause, forking, has_forked = Pause(), threading.Event(), threading.Event()
    apply, applied = Patch.apply, []

    def apply_and_pause(patch: Patch, switch: Switch) -> None:
        apply(patch, switch)
        applied.append(patch)
        if len(applied) == 10:
            pause()

    def fork() -> int:
        forking.set()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            os._exit(len(applied))
        has_forked.set()
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    monkeypatch.setattr(Patch, "apply", apply_and_pause)
    installing = start(freezethreads.install, freezer)
    pause.wait()
    child = start(fork)
    wait_for(forking)
    assert not has_forked.wait(0.1)
    pause.go()
    installation = installing.finish()
    assert child.finish() == len(applied) > 10
    installation.uninstall()


def test_a_handler_that_forks_in_the_middle_of_it(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for nobody, and its child has no use for the table."""
    status: list[int] = []
    apply = Patch.apply

    def apply_and_fork(patch: Patch, switch: Switch) -> None:
        apply(patch, switch)
        if not status:
            pid = os.fork()
            if not pid:
                os._exit(7)
            status.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    monkeypatch.setattr(Patch, "apply", apply_and_fork)
    freezethreads.install(freezer).uninstall()
    assert status == [7]


def sites_of(freezer: Freezer) -> list[str | None]:
    """What the enrolled threads wait in."""
    return [info.site.label for info in freezer.threads() if info.site]


def test_a_child_writes_logs_while_others_did(
    freezer: Freezer, installation: Installation, tmp_path: Path
) -> None:
    """Its locks are new ones in the child, and other threads own the old ones for ever."""
    handler = logging.FileHandler(tmp_path / "log")
    logger = logging.Logger("under test")
    logger.addHandler(handler)
    over: list[bool] = []

    def log() -> None:
        while not over:
            logger.warning("by a thread")
            time.sleep(0.001)

    def body(fork: Fork) -> None:
        threads = [start(log) for _ in range(3)]
        handler.acquire()
        until(lambda: sites_of(freezer) == ["RLock.acquire"] * 3)
        fork()
        if not in_child():
            handler.release()
            over.append(True)
            for thread in threads:
                thread.finish()

    def check() -> None:
        with freezer.freeze(timeout=WAIT):
            logger.warning("by the child")
        start(logger.warning, "by its thread").finish()
        assert "by its thread" in (tmp_path / "log").read_text()

    forked(body, check)
    handler.close()


def test_processes_of_multiprocessing(freezer: Freezer, installation: Installation) -> None:
    """A pool of processes has threads that wait, and children that fork from the midst of them."""
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            for _ in range(10):
                futures = [pool.submit(abs, -i) for i in range(10)]
                freezer.freeze(timeout=WAIT).thaw()
                assert [future.result(WAIT) for future in futures] == list(range(10))
