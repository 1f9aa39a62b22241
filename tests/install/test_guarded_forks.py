"""Forks under a guard: each in a world in which no lock is held that can be seen."""

from __future__ import annotations

import os
import pickle
import pty
import re
import sys
import threading
import time
import traceback
import types
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import freezethreads
import guard_helpers
from fork_helpers import check_alone, check_works, forked, looping
from freezethreads import ForkUnsafe, Freezer, sync
from guard_helpers import HAS_ENGINE, SOON, end_of, fork_and_exit, held, made
from helpers import HAS_GIL, WAIT, start, wait_for


@pytest.fixture
def freezer() -> Freezer:
    return Freezer()


def works_with_lock(freezer: Freezer, lock: Any, wanted: threading.Event) -> None:
    """Lives inside the lock, and passes safepoints with it and without."""
    with freezer.register("worker"):
        while not wanted.is_set():
            with lock:
                freezer.safepoint("with the lock")
                time.sleep(0.001)
            freezer.safepoint("without")


@pytest.mark.parametrize("where", ["unlocked", "safepoint"])
@pytest.mark.parametrize("kind", [threading.Lock, threading.RLock, sync.Lock, sync.RLock])
def test_no_lock_is_held_in_the_child(freezer: Freezer, where: Any, kind: Any) -> None:
    if where == "safepoint" and not HAS_GIL and kind in (threading.Lock, threading.RLock):
        pytest.skip("nobody may look at the stacks of threads that run")
    lock, over = kind(), threading.Event()
    worker = start(works_with_lock, freezer, lock, over)
    with freezer.guard_forks(where=where, timeout=WAIT) as guard:
        for _ in range(10):
            assert fork_and_exit(lambda: not lock.acquire(timeout=0)) == 0
        assert guard.forks == 10
        assert guard.refused == 0
    over.set()
    worker.finish()


def test_a_lock_that_stays_held_refuses_the_fork(freezer: Freezer) -> None:
    before = len(made)
    with held(threading.Lock(), freezer), freezer.guard_forks(timeout=SOON) as guard:
        with pytest.raises(ForkUnsafe, match="holder") as caught:
            os.fork()
        assert guard.refused == 1
        assert guard.last is None
    message, _, helps = str(caught.value).partition("\nWhat would help:\n")
    assert "a section of lock, at " in message
    release, more = helps.splitlines()
    pattern = r"  Have holder release lock, which it holds since \S+:\d+, before it is at \S+:\d+\."
    if not HAS_ENGINE:
        pattern = r"  Have each of them release what it has before it stops\."
    assert re.fullmatch(pattern, release)
    assert more == f"  Or give them more time: guard_forks(timeout=...), which was {SOON:g} s."
    assert [entry.name for entry in traceback.extract_tb(caught.value.__traceback__)] == [
        "test_a_lock_that_stays_held_refuses_the_fork"
    ]
    assert caught.value.__cause__ is None
    assert f"{os.path.basename(guard_helpers.__file__)}:" in str(caught.value)
    assert isinstance(caught.value, freezethreads.FreezeError)
    assert len(made) == before
    check_works(freezer, registered=False)


@pytest.mark.parametrize("kind", [sync.Lock, sync.RLock])
def test_a_lock_of_sync_is_seen_without_a_with_block(freezer: Freezer, kind: Any) -> None:
    has_it, enough = threading.Event(), threading.Event()
    lock = kind()

    def acquire() -> None:
        lock.acquire()

    def hold() -> None:
        with freezer.register("holder"):
            acquire()
            has_it.set()
            with freezer.blocking():
                enough.wait(WAIT)
            lock.release()

    with freezer.guard_forks(timeout=SOON):
        holder = start(hold)
        wait_for(has_it)
        with pytest.raises(ForkUnsafe, match=r"<locked .* at .* in .*acquire") as caught:
            os.fork()
        assert len(caught.value.held) + len(caught.value.stragglers) == 1
        enough.set()
        holder.finish()
        assert fork_and_exit() == 0


def test_the_error_pickles_with_what_it_knows(freezer: Freezer) -> None:
    with (
        held(sync.Lock(), freezer),
        freezer.guard_forks(timeout=SOON),
        pytest.raises(ForkUnsafe) as caught,
    ):
        os.fork()
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.held == caught.value.held
    assert len(again.stragglers) == len(caught.value.stragglers)
    assert again.held or again.stragglers


@pytest.mark.parametrize("on_failure", ["warn", "log"])
def test_forks_all_the_same(
    freezer: Freezer, on_failure: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        held(threading.Lock(), freezer),
        freezer.guard_forks(timeout=SOON, on_failure=on_failure) as guard,
    ):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            assert fork_and_exit() == 0
        assert (guard.forks, guard.refused) == (0, 1)
    kinds = [warning.category for warning in seen]
    assert kinds.count(RuntimeWarning) == (on_failure == "warn")
    assert DeprecationWarning in kinds or not HAS_ENGINE
    (record,) = [r for r in caplog.records if "forking all the same" in r.message]
    assert "holder" in record.message
    files = [warning.filename for warning in seen if warning.category is RuntimeWarning]
    assert files in ([], [guard_helpers.__file__])


def test_a_warning_that_is_an_error_forks_nothing(freezer: Freezer) -> None:
    before = len(made)
    with (
        held(threading.Lock(), freezer),
        freezer.guard_forks(timeout=SOON, on_failure="warn"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error", RuntimeWarning)
        with pytest.raises(RuntimeWarning):
            os.fork()
    assert len(made) == before


def test_the_deprecation_warning_is_kept_away_under_the_guard_alone(freezer: Freezer) -> None:
    with looping(freezer, "loop"):
        for guarded in (False, True, False):
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                if guarded:
                    with freezer.guard_forks(timeout=WAIT):
                        fork_and_exit()
                else:
                    fork_and_exit()
            assert bool(seen) is (HAS_ENGINE and not guarded)


def test_an_unsafe_fork_in_a_world_is_warned_of(freezer: Freezer) -> None:
    """The world alone would keep the warning away: but here somebody has looked."""
    with (
        held(threading.Lock(), freezer),
        freezer.guard_forks(timeout=SOON, on_failure="log"),
        freezer.freeze(timeout=WAIT),
        warnings.catch_warnings(record=True) as seen,
    ):
        warnings.simplefilter("always")
        fork_and_exit()
    assert bool(seen) is HAS_ENGINE


@pytest.mark.parametrize("registered", [True, False], ids=["registered", "unregistered"])
def test_the_child_has_a_working_freezer_and_the_guard(freezer: Freezer, registered: bool) -> None:
    def check() -> None:
        check_alone(freezer, registered)
        assert (guard.forks, guard.last) == (0, None)
        assert fork_and_exit() == 0
        assert guard.forks == 1

    registration = freezer.register("forker") if registered else None
    with looping(freezer, "loop"), freezer.guard_forks(timeout=WAIT) as guard:
        forked(lambda fork: fork(), check)
        assert guard.forks == 1
    check_works(freezer, registered)
    if registration is not None:
        freezer.unregister()


def read_to_end(descriptor: int) -> bytes:
    """What comes from a terminal until nobody has it open any more."""
    said = b""
    try:
        while chunk := os.read(descriptor, 4096):
            said += chunk
    except OSError:  # as Linux says that it ends
        pass
    os.close(descriptor)
    return said


def test_forkpty_and_pty_fork(freezer: Freezer) -> None:
    with looping(freezer, "loop"), freezer.guard_forks(timeout=WAIT) as guard:
        for fork in (os.forkpty, pty.fork):
            pid, descriptor = fork()
            if pid == 0:
                os._exit(0)
            said = read_to_end(descriptor)
            assert (end_of(pid), said) == (0, b"")
        assert guard.forks == 2
        assert guard.last is not None
        assert guard.last.pid == pid


def test_what_was_copied_from_os_is_guarded_and_put_back(freezer: Freezer) -> None:
    module: Any = types.ModuleType("copied_from_os")
    sys.modules[module.__name__] = module
    original = os.fork
    module.make_child = original
    try:
        with freezer.guard_forks(timeout=WAIT) as guard:
            copied_now = os.fork
            assert module.make_child is copied_now is not original
            pid = module.make_child()
            if pid == 0:
                os._exit(0)
            assert end_of(pid) == 0
            assert guard.forks == 1
        assert module.make_child is os.fork is original
        assert sys.modules["posix"].fork is original
    finally:
        del sys.modules[module.__name__]
    pid = copied_now()  # which only passes the call on from then on
    if pid == 0:
        os._exit(0)
    assert end_of(pid) == 0
    assert guard.forks == 1


def test_what_somebody_else_has_put_in_its_place_is_left(
    freezer: Freezer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs: Callable[[], int] = lambda: 0  # noqa: E731
    monkeypatch.setattr(os, "fork", os.fork)
    with freezer.guard_forks():
        os.fork = theirs
    assert os.fork is theirs
    assert "os.fork was replaced by somebody else" in caplog.text
