"""Rules that hold for every test: no thread or child is left behind, and no thread's error goes
unseen. And what several files want: a Python without a GIL.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

import pytest
from hypothesis import settings

from freezethreads._machine import marks as marks_module
from freezethreads._machine.marks import atomic, freezable
from freezethreads._report import ownership
from freezethreads._report import stacks as stacks_module
from helpers import WAIT, Worker, stack_of
from machine import WHERE, nothing_is_left

# A shell that runs this in the background has Ctrl-C ignored, and so has what a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A shared machine makes any single example slow now and then, which says nothing about the code.
settings.register_profile("tests", deadline=None)
# Where nobody is there to repeat a run, the same examples each time.
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "tests")


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Fail a test that leaves a thread running, or a worker's exception unseen."""
    before = set(threading.enumerate())
    Worker.failed.clear()
    yield
    left = _still_running(set(threading.enumerate()) - before)
    stacks = "\n".join(f"{thread!r}\n{stack_of(thread)}" for thread in left)
    assert not left, f"the test left {len(left)} thread(s) behind:\n{stacks}"
    if Worker.failed:
        raise AssertionError(f"{Worker.failed[0].name} failed unseen") from Worker.failed[0].error


@pytest.fixture(autouse=True)
def no_child_left() -> Iterator[None]:
    """Fail a test that leaves a child behind which has ended: it is the next `os.wait()`'s."""
    yield
    try:
        left = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return
    if left is not None:
        os.waitpid(left.si_pid, 0)
        raise AssertionError(f"the test left the process {left.si_pid} behind, which has ended")


@pytest.fixture(autouse=True)
def nothing_left_in_the_interpreter() -> Iterator[None]:
    """Fail a test after which the second engine has an id, another limit of recursion, or no
    collector."""
    limit = sys.getrecursionlimit()
    yield
    collects = gc.isenabled()
    gc.enable()
    assert collects
    assert nothing_is_left()
    assert sys.getrecursionlimit() == limit


@pytest.fixture(autouse=True)
def nobody_tracks_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A freezer in debug mode has all locks noted from then on: here, until the test's end."""
    monkeypatch.setattr(ownership, "tracking", ownership.tracking)
    monkeypatch.setattr(ownership, "_trackers", ownership._trackers.copy())


@pytest.fixture(autouse=True)
def marks_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test marks is marked until its end."""
    monkeypatch.setattr(marks_module, "of_kinds", {})
    for marks in atomic, freezable:
        monkeypatch.setattr(marks, "_names", dict(marks._names))
        monkeypatch.setattr(marks, "_known", {})
        monkeypatch.setattr(marks, "sought", {})
        monkeypatch.setattr(marks, "warned", {})


@pytest.fixture(params=WHERE)
def where(request: pytest.FixtureRequest) -> str:
    """Each place to stop threads at which they need not be registered."""
    return str(request.param)


def _still_running(threads: set[threading.Thread]) -> list[threading.Thread]:
    """Give threads on their way out the time to get there; return the others."""
    deadline = time.monotonic() + WAIT / 2
    # A dummy stands for a thread that `threading` did not start. It cannot be joined, and up to
    # Python 3.12 it stays in the list when its thread is gone.
    real = [thread for thread in threads if not isinstance(thread, threading._DummyThread)]
    for thread in real:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [thread for thread in real if thread.is_alive()]


@pytest.fixture
def no_gil(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without a GIL, where no frame may be read."""

    def touch() -> NoReturn:
        raise AssertionError("read the frames of threads that run")

    monkeypatch.setattr(stacks_module, "_HAS_GIL", False)
    monkeypatch.setattr(stacks_module, "_FAULTHANDLER_STOPS", True)
    monkeypatch.setattr(stacks_module, "current_frames", touch)
