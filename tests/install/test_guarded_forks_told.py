"""Guards beside each other, and what they tell: reports, arguments, exceptions in the middle."""

from __future__ import annotations

import os
import sys
import threading
import types
import warnings
from typing import Any

import pytest

import freezethreads
from fork_helpers import check_works, looping
from freezethreads import ForkGuard, ForkUnsafe, Freezer, sync
from freezethreads._install import _forks
from guard_helpers import HAS_ENGINE, SOON, end_of, fork_and_exit, held, needs_engine
from helpers import WAIT, run_python, start


@pytest.fixture
def freezer() -> Freezer:
    return Freezer()


def test_the_newest_of_one_freezer_decides(freezer: Freezer) -> None:
    with held(threading.Lock(), freezer), freezer.guard_forks(timeout=SOON) as outer:
        with (
            freezer.guard_forks(timeout=SOON, on_failure="log") as inner,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", DeprecationWarning)
            assert fork_and_exit() == 0
        assert (outer.refused, inner.refused) == (0, 1)
        with pytest.raises(ForkUnsafe):
            os.fork()
    assert (outer.refused, inner.refused) == (1, 1)


def test_a_fork_has_to_satisfy_each_freezer(freezer: Freezer) -> None:
    other = Freezer("other")
    with looping(freezer, "loop"), looping(other, "loop too"):
        with freezer.guard_forks(timeout=WAIT) as one, other.guard_forks(timeout=WAIT) as two:
            assert fork_and_exit() == 0
            assert one.forks == two.forks == 1
        assert freezer.statistics().freezes == other.statistics().freezes == 1
        with (
            held(sync.Lock(), other),
            freezer.guard_forks(timeout=SOON, where="safepoint") as one,
            other.guard_forks(timeout=SOON, where="safepoint"),
            pytest.raises(ForkUnsafe),
        ):
            os.fork()
    assert one.forks == 0


def test_guards_may_end_in_any_order(freezer: Freezer) -> None:
    original = os.fork
    first, second = freezer.guard_forks(timeout=WAIT), freezer.guard_forks(timeout=WAIT)
    first.__enter__()
    second.__enter__()
    first.__exit__()
    assert fork_and_exit() == 0
    assert (first.forks, second.forks) == (0, 1)
    second.__exit__()
    second.__exit__()
    assert os.fork is original


def test_a_guard_is_entered_once(freezer: Freezer) -> None:
    with freezer.guard_forks() as guard:
        with pytest.raises(freezethreads.FreezeError, match="entered already"):
            guard.__enter__()
        assert "not in force" not in repr(guard)
        assert is_guarded()
    assert "not in force" in repr(guard)
    assert not is_guarded()


def is_guarded() -> bool:
    """Whether `os.fork` is another one. (Each copy that a module has is another one as well.)"""
    return not isinstance(os.fork, types.BuiltinFunctionType)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"where": "anywhere"}, ValueError),
        ({"where": "nowhere"}, ValueError),
        ({"where": 1}, TypeError),
        ({"timeout": -1}, ValueError),
        ({"timeout": "1"}, TypeError),
        ({"on_failure": "ignore"}, ValueError),
        ({"on_failure": None}, TypeError),
    ],
)
def test_wrong_arguments(freezer: Freezer, arguments: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        freezer.guard_forks(**arguments)


def test_one_that_is_not_entered_does_nothing(freezer: Freezer) -> None:
    guard = freezer.guard_forks()
    assert isinstance(guard, ForkGuard)
    assert not is_guarded()
    assert guard.where == ("unlocked" if HAS_ENGINE else "safepoint")


@needs_engine
def test_who_was_in_a_call_of_c_is_named(freezer: Freezer) -> None:
    over = threading.Event()
    waits = start(over.wait, WAIT, name="waits in C")
    with freezer.guard_forks(timeout=WAIT) as guard:
        assert fork_and_exit() == 0
    over.set()
    waits.finish()
    assert guard.last is not None
    (said,) = [line for line in guard.last.in_calls if line.startswith("waits in C: ")]
    assert "call" in said
    assert guard.last.unseen == ()
    assert guard.last.waited > 0
    assert guard.last.paused > 0


def test_who_went_on_is_named(freezer: Freezer) -> None:
    over = threading.Event()
    waits = start(over.wait, WAIT, name="goes on")
    with looping(freezer, "loop"), freezer.guard_forks(timeout=WAIT, where="safepoint") as guard:
        assert fork_and_exit() == 0
    over.set()
    waits.finish()
    assert guard.last is not None
    assert guard.last.unseen == ("goes on",)


RECURSIVE = """
import multiprocessing, os, sys, threading
import freezethreads

lock = multiprocessing.get_context("fork").RLock()
has_it, enough = threading.Event(), threading.Event()

def acquire():
    lock.acquire()  # here and not in a section: as one that was got while its thread stood

def hold():
    acquire()
    has_it.set()
    enough.wait()
    lock.release()

holder = threading.Thread(target=hold)
holder.start()
has_it.wait()
with freezethreads.guard_forks():
    pid = os.fork()
if pid == 0:
    lock.acquire()
    lock.release()
    os._exit(0)
enough.set()
holder.join()
assert os.waitpid(pid, 0)[1] == 0
print(lock.acquire(timeout=3))
"""


def test_a_recursive_lock_of_multiprocessing_is_given_back_by_the_child() -> None:
    """1. A thread has acquired it, and counts so in this process; 2. the child is forked, with the
    count of a thread that is not there; 3. the thread releases it; 4. the child acquires it, and
    releases it: it has to be free then, for this process as well."""
    assert run_python(RECURSIVE).stdout == "True\n"


def test_an_interrupt_after_the_fork_tells_of_the_child(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = _forks._let_go
    hits = iter([KeyboardInterrupt])

    def interrupted(stops: Any) -> None:
        for error in hits:
            raise error
        let_go(stops)

    parent = os.getpid()
    with (
        looping(freezer, "loop"),
        freezer.guard_forks(timeout=WAIT),
        monkeypatch.context() as patch,
    ):
        patch.setattr(_forks, "_let_go", interrupted)
        try:
            os.fork()
        except KeyboardInterrupt as error:
            if os.getpid() != parent:
                os._exit(0)
            (note,) = error.__notes__
        else:
            pytest.fail("nothing was raised")
    pid = int("".join(filter(str.isdigit, note)))
    assert end_of(pid) == 0
    check_works(freezer, registered=False)


@needs_engine
def test_an_exception_anywhere_leaves_nobody_frozen(freezer: Freezer) -> None:
    """At each line of the fork, in turn."""
    parent = os.getpid()
    file = _forks.__file__

    def interrupt_at(number: int) -> bool:
        """Whether there was a line of that number."""
        seen = iter(range(number))

        def trace(frame: Any, event: str, _: object) -> Any:
            if frame.f_code.co_filename != file:
                return None
            if event == "line" and next(seen, None) is None:
                sys.settrace(None)
                raise KeyboardInterrupt
            return trace

        sys.settrace(trace)
        try:
            pid = os.fork()
        except KeyboardInterrupt as error:
            sys.settrace(None)
            if os.getpid() != parent:
                os._exit(0)
            for note in getattr(error, "__notes__", ()):
                os.waitpid(int("".join(filter(str.isdigit, note))), 0)
            return True
        sys.settrace(None)
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        return False

    with looping(freezer, "loop"), freezer.guard_forks(timeout=WAIT):
        number = 0
        while interrupt_at(number):
            assert not freezer.armed
            number += 1
        assert number > 30
        check_works(freezer, registered=False)
