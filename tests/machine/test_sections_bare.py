"""Locks that are held without a `with` block over a name: by a call, by acquire() and release()
alone, and by local names of these."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

import pytest

from freezethreads import Freezer
from freezethreads._machine.stacks import shelter_of
from helpers import WAIT, start
from machine import InPython, check_sheltered_while_held

freezer = Freezer()
lock: Any = threading.Lock()
# (Whose methods are calls of C: an event's own lock would be held while `set` comes to its end.)
reached: queue.SimpleQueue[None] = queue.SimpleQueue()
enough: queue.SimpleQueue[None] = queue.SimpleQueue()


def inside() -> None:
    """Here each function waits."""
    reached.put(None)
    enough.get(timeout=WAIT)


class Shop:
    """Hands out its lock in several ways."""

    @classmethod
    def get_lock(cls) -> Any:
        return lock

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        with lock:
            yield

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        yield

    @property
    def mutex(self) -> Any:
        return lock

    @contextlib.contextmanager
    def owned(self) -> Iterator[None]:
        with self.mutex:  # a property, which goes by its name
            yield

    @contextlib.contextmanager
    def written(self) -> Iterator[None]:
        with open("/dev/null"), self.file:
            yield

    file = contextlib.nullcontext()


@contextlib.contextmanager
def entering(entered: contextlib.AbstractContextManager[None]) -> Iterator[None]:
    with entered:
        yield


@contextlib.contextmanager
def twice_removed() -> Iterator[None]:
    with shop.entered():
        yield


def closing_over(held: Any) -> Callable[[], contextlib.AbstractContextManager[None]]:
    @contextlib.contextmanager
    def closed_over() -> Iterator[None]:
        with held:
            yield

    return closed_over


@contextlib.contextmanager
def acquired_if(mine: bool) -> Iterator[None]:
    if mine:
        lock.acquire()
    yield
    if mine:
        lock.release()


class Holding:
    """Acquires a lock when it is entered."""

    def __init__(self, held: Any, *, why: str = "") -> None:
        self.held = held

    def __enter__(self) -> None:
        self.held.acquire()

    def __exit__(self, *_: object) -> None:
        self.held.release()


shop = Shop()


def by_a_call() -> None:
    with shop.get_lock():
        inside()


def by_a_generator() -> None:
    with shop.entered():
        inside()


def by_a_class() -> None:
    with Holding(lock, why="for a while"):
        inside()


def by_a_generator_without_a_block() -> None:
    with acquired_if(True):
        inside()


def by_a_call_in_a_call() -> None:
    with Holding(shop.get_lock()):
        inside()


def bare() -> None:
    lock.acquire()
    inside()
    lock.release()


def bare_in_branches(mine: bool = True) -> None:
    if mine:
        if not lock.acquire(timeout=1):
            return
    else:
        lock.acquire()
    inside()
    if mine:
        lock.release()


def released_in_a_handler_too() -> None:
    lock.acquire()
    try:
        inside()
    except BaseException:
        lock.release()
        raise
    lock.release()


def in_a_handler_in_between(fails: bool = True) -> None:
    """What the compiler puts behind the release."""
    lock.acquire()
    try:
        if fails:
            raise KeyError
    except KeyError:
        inside()
    finally:
        [1].append(2)
    try:
        [1].append(2)
    finally:
        [1].append(3)
    lock.release()
    for _ in range(2):  # so much that it is not there once more after the handler
        [1].append(2)


def in_a_loop_if_it_was_acquired() -> None:
    for _ in range(1):
        got = lock.acquire()
        try:
            inside()
        finally:
            if got:
                lock.release()


def with_more_before_the_try() -> None:
    lock.acquire()
    numbers = [1]
    numbers.append(2)
    try:
        inside()
    finally:
        lock.release()


def by_local_names() -> None:
    acquire = lock.acquire
    release = lock.release
    acquire()
    try:
        inside()
    finally:
        release()


def by_a_generator_s_property() -> None:
    with shop.owned():
        inside()


def by_a_generator_in_another() -> None:
    with twice_removed():
        inside()


def by_a_closure() -> None:
    entered = closing_over(lock)
    with entered():
        inside()


HELD = (
    by_a_generator_s_property,
    by_a_generator_in_another,
    by_a_closure,
    by_a_call,
    by_a_generator,
    by_a_class,
    by_a_call_in_a_call,
    by_a_generator_without_a_block,
    bare,
    bare_in_branches,
    released_in_a_handler_too,
    in_a_handler_in_between,
    in_a_loop_if_it_was_acquired,
    with_more_before_the_try,
    by_local_names,
)


def by_a_call_that_locks_nothing() -> None:
    with shop.opened():
        inside()


def by_a_generator_with_files() -> None:
    with shop.written():
        inside()


def by_a_closure_over_no_lock() -> None:
    entered = closing_over(contextlib.nullcontext())
    with entered():
        inside()


def by_a_generator_that_nobody_can_tell() -> None:
    with entering(contextlib.nullcontext()):
        inside()


def by_a_generator_that_has_not_acquired_it() -> None:
    with acquired_if(False):
        inside()


def by_open() -> None:
    with open("/dev/null"):
        inside()


def in_a_region() -> None:
    with freezer.blocking("this word has a lock in it"):
        inside()


def before_acquire() -> None:
    inside()
    lock.acquire()
    lock.release()


def after_release() -> None:
    for _ in range(1):
        lock.acquire()
        try:
            pass
        finally:
            lock.release()
        inside()


def in_a_handler_after_release() -> None:
    try:
        lock.acquire()
        lock.release()
        raise KeyError
    except KeyError:
        inside()


def acquired_by_nobody(mine: bool = False) -> None:
    if mine:
        lock.acquire()
    inside()
    if mine:
        lock.release()


FREE = (
    by_a_call_that_locks_nothing,
    by_a_generator_with_files,
    by_a_closure_over_no_lock,
    by_a_generator_that_nobody_can_tell,
    by_a_generator_that_has_not_acquired_it,
    by_open,
    in_a_region,
    before_acquire,
    after_release,
    in_a_handler_after_release,
    acquired_by_nobody,
)


def shelter_while_waiting(function: Callable[[], None]) -> object:
    """What a thread is in that waits in there."""
    worker = start(function)
    try:
        reached.get(timeout=WAIT)
        frame = sys._current_frames()[worker.ident or 0]
        return shelter_of(frame, "unlocked", running=False)
    finally:
        enough.put(None)
        worker.finish()


@pytest.mark.parametrize("function", HELD)
@pytest.mark.parametrize("kind", [threading.Lock, threading.RLock])
def test_who_holds_a_lock_is_in_a_section(
    function: Callable[[], None], kind: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "lock", kind())
    shelter = shelter_while_waiting(function)
    assert "a section of " in str(shelter)
    assert f" in {function.__name__}" in str(shelter)


@pytest.mark.parametrize("function", FREE)
@pytest.mark.parametrize("kind", [threading.Lock, threading.RLock])
def test_who_holds_none_is_in_none(
    function: Callable[[], None], kind: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "lock", kind())
    assert shelter_while_waiting(function) is None


def release_after_a_block() -> None:
    with contextlib.nullcontext():
        inside()
    lock.release()


def test_a_release_after_a_block_tells_nothing_of_the_block() -> None:
    """On CPython 3.11 it comes right after the handler of the block."""
    lock.acquire()
    assert shelter_while_waiting(release_after_a_block) is None


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no sys.monitoring there")
@pytest.mark.parametrize("make", [threading.Lock, InPython])
@pytest.mark.parametrize("function", HELD)
def test_before_each_instruction_that_finds_it_held(
    function: Callable[[], None], make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked in each instruction of the functions above that is executed."""
    made = make()
    monkeypatch.setattr(sys.modules[__name__], "lock", made)
    monkeypatch.setattr(sys.modules[__name__], "inside", int)
    code_of: CodeType = function.__code__
    check_sheltered_while_held(made, lambda code: code is code_of, function)
