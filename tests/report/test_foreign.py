"""Threads that `threading` does not know: they are listed, and nothing else is taken for one."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from foreign import KINDS, foreign
from freezethreads import ForeignThread, Freezer
from freezethreads._explain import describe
from freezethreads._ground.foreign import native_ids
from freezethreads._report import stragglers
from freezethreads._report.stragglers import foreign_threads
from freezing import before
from helpers import HAS_GIL, WAIT, run_python, start, wait_for

TOLD = HAS_GIL and sys.platform.startswith("linux")
every_kind = pytest.mark.parametrize("kind", KINDS)


def idents() -> list[int | None]:
    return [thread.ident for thread in foreign_threads()]


@every_kind
@pytest.mark.filterwarnings("ignore")
def test_it_is_among_those_that_a_world_does_not_cover(kind: str) -> None:
    freezer = Freezer()
    with foreign(kind) as one, freezer.freeze(timeout=WAIT) as world:
        (found,) = (each for each in world.unregistered if each.ident == one.ident)
        assert isinstance(found, threading.Thread)
        assert isinstance(found, ForeignThread)
        assert found.native_id == (one.native_id if TOLD else None)
        assert (found.name, found.daemon) == (f"thread {one.ident}", True)
        assert repr(found) == f"<ForeignThread({one.ident}, native {found.native_id})>"
        assert found.is_alive()
        assert found in world.unregistered  # another object, of the same thread
        assert len({found, *world.unregistered}) == len(world.unregistered)
        one.end()
        assert found not in world.unregistered
    if kind == "by _thread":
        assert not found.is_alive()


@every_kind
def test_threading_knows_nothing_of_it_still(kind: str) -> None:
    with foreign(kind) as one:
        (found,) = (each for each in foreign_threads() if each.ident == one.ident)
        assert found not in threading.enumerate()
        assert found not in set(threading._dangling)  # type: ignore[attr-defined]
        assert one.ident not in threading._active  # type: ignore[attr-defined]
        with pytest.raises(RuntimeError, match="somebody else has started it"):
            found.start()
        with pytest.raises(RuntimeError, match="nobody is told of its end"):
            found.join()


def test_two_are_equal_if_they_are_of_one_thread() -> None:
    with foreign() as one, foreign() as other:
        assert ForeignThread(one.ident) == ForeignThread(one.ident)
        assert ForeignThread(one.ident) != ForeignThread(other.ident)
        assert ForeignThread(one.ident) != one.ident


def test_one_that_has_registered_is_a_thread_like_any_other() -> None:
    freezer = Freezer()
    ready, over = threading.Event(), threading.Event()

    def enrol() -> None:
        with freezer.register("enrolled"):
            ready.set()
            while not over.is_set():
                freezer.safepoint()

    with foreign(body=enrol) as one:
        wait_for(ready)
        with freezer.freeze(timeout=WAIT) as world:
            assert [info.ident for info in world.threads] == [one.ident]
            assert one.ident not in [thread.ident for thread in world.unregistered]
        over.set()


def test_without_a_gil_it_is_listed_as_well(no_gil: None) -> None:
    with foreign() as one:
        assert one.ident in idents()


# Who comes and goes meanwhile.


def test_a_thread_of_threading_that_is_not_listed_yet_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor one that is listed no more: both execute Python code for a moment."""
    over = threading.Event()
    thread = start(over.wait, WAIT)
    known = stragglers._known_idents() - {thread.ident}
    monkeypatch.setattr(stragglers, "_known_idents", lambda: known)
    assert thread.ident not in idents()
    over.set()
    thread.finish()


def test_a_thread_that_is_listed_meanwhile_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    1. the idents of the known threads are looked up, and those of all
    2. one registers, by which `threading` comes to know it
    3. what is known by now counts
    """
    with foreign() as one:
        looks = iter([set[int | None](), {one.ident}])
        monkeypatch.setattr(stragglers, "_known_idents", lambda: next(looks))
        assert one.ident not in idents()


@pytest.mark.parametrize("told", [True, False])
def test_a_thread_that_ends_meanwhile_is_none(monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    """
    1. the idents of all threads are looked up
    2. one ends
    3. its stack is looked for: there is none, or nobody can tell
    """
    with foreign() as one:
        before(monkeypatch, stragglers, "read_stacks", lambda *_: one.end())
        if not told:
            monkeypatch.setattr(stragglers, "read_stacks", lambda *_: (one.end(), {})[1])
        assert one.ident not in idents()


def test_nobody_is_listed_that_may_be_of_another_interpreter() -> None:
    code = """
import _thread, sys
from freezethreads._report.stragglers import foreign_threads
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
begun, over = _thread.allocate_lock(), _thread.allocate_lock()
begun.acquire()
over.acquire()
_thread.start_new_thread(lambda: (begun.release(), over.acquire()), ())
begun.acquire()
print(len(foreign_threads()))
made = interpreters.create()
print(len(foreign_threads()))
interpreters.destroy(made)
print(len(foreign_threads()))
over.release()
"""
    assert run_python(code).stdout.split() == ["1", "0", "1"]


# The system's numbers.


@pytest.mark.skipif(not TOLD, reason="nobody can tell")
@every_kind
def test_the_systems_number_is_its_own_word(kind: str) -> None:
    here = threading.get_ident()
    with foreign(kind) as one, foreign(kind) as other:
        found = native_ids()
        assert (found[one.ident], found[other.ident]) == (one.native_id, other.native_id)
        assert found[here] == threading.get_native_id()


def test_they_can_be_asked_for_while_threads_come_and_go() -> None:
    """Asked of a thread that has ended, the C library may crash: so this is a process."""
    code = """
import _thread, sys, time
from freezethreads._ground.foreign import native_ids
sys.setswitchinterval(1e-6)
ended = 0
def short():
    global ended
    sum(range(10))
    ended += 1
deadline, started, most = time.monotonic() + 3, 0, 0
while time.monotonic() < deadline:
    for _ in range(10):
        try:
            _thread.start_new_thread(short, ())
            started += 1
        except RuntimeError:
            break  # so many are there
    most = max(most, len(native_ids()))
print(most, started)
"""
    most, started = run_python(code).stdout.split()
    assert int(started) > 100
    assert int(most) > 1 or not TOLD


# Elsewhere.


@pytest.mark.filterwarnings("ignore")
def test_a_report_names_it() -> None:
    freezer = Freezer()
    with foreign() as one:
        (thread,) = (each for each in describe(freezer).threads if each.ident == one.ident)
    assert (thread.name, thread.registered) == (f"thread {one.ident}", False)
    assert thread.native_id == (one.native_id if TOLD else None)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_the_child_of_a_fork_has_none() -> None:
    code = """
import _thread, os
from freezethreads._report.stragglers import foreign_threads
begun, over = _thread.allocate_lock(), _thread.allocate_lock()
begun.acquire()
over.acquire()
_thread.start_new_thread(lambda: (begun.release(), over.acquire()), ())
begun.acquire()
assert len(foreign_threads()) == 1
if not (pid := os.fork()):
    os._exit(len(foreign_threads()))
assert os.waitpid(pid, 0)[1] == 0
over.release()
"""
    run_python("import warnings; warnings.simplefilter('ignore')" + code)
