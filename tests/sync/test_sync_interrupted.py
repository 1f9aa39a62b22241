"""A signal's exception before the first instruction of what a `with` statement calls."""

from __future__ import annotations

import dis
import operator
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import pytest

from freezethreads import sync
from freezethreads._ground.uninterruptible import covered
from freezethreads._registry.record import here
from freezethreads.sync._locks import Latch
from helpers import start, wait_until


class Signal:
    """`now` has SIGINT come without a call, so that it is heard where the next function begins."""

    call = staticmethod(interrupt_main)
    now = property(operator.methodcaller("call"))


signal = Signal()
KINDS = (sync.Lock, sync.RLock, Latch, sync.Condition, lambda: sync.Condition(sync.Lock()))


def is_owned(lock: Any) -> bool:
    """Whether anybody has the lock, or that of the condition."""
    return getattr(lock, "_lock", lock).owner is not None


def leave_a_block(lock: Any, act: Callable[[], object] = int) -> None:
    """A signal comes at the end of a `with` block."""
    with lock:
        act()
        _ = signal.now


def release(lock: Any) -> None:
    """A signal comes before a release."""
    _ = signal.now
    lock.release()


@pytest.fixture(autouse=True)
def _doors_are_open() -> Iterator[None]:
    yield
    assert here.parking.shut == 0


@pytest.mark.parametrize("make", KINDS)
def test_the_end_of_a_with_block_is_not_missed(make: Callable[[], Any]) -> None:
    lock = make()
    with pytest.raises(KeyboardInterrupt):
        leave_a_block(lock)
    assert not is_owned(lock)


@pytest.mark.parametrize("make", KINDS)
def test_nor_is_a_release(make: Callable[[], Any]) -> None:
    lock = make()
    lock.acquire()
    with pytest.raises(KeyboardInterrupt):
        release(lock)
    assert not is_owned(lock)


@pytest.mark.parametrize("make", [sync.Lock, sync.RLock])
def test_who_waits_gets_it(make: Callable[[], Any]) -> None:
    lock = make()
    workers = []

    def have_one_wait() -> None:
        workers.append(start(lock.acquire))
        wait_until(lambda: any(lock._waiters))

    with pytest.raises(KeyboardInterrupt):
        leave_a_block(lock, have_one_wait)
    assert workers[0].finish()


def test_a_reentrant_lock_is_released_once() -> None:
    lock = sync.RLock()
    with lock:
        with pytest.raises(KeyboardInterrupt):
            leave_a_block(lock)
        assert lock._recursion_count() == 1
    assert not is_owned(lock)


def test_who_does_not_have_it_releases_nothing() -> None:
    lock = sync.RLock()
    start(lock.acquire).finish()
    with pytest.raises(KeyboardInterrupt):
        release(lock)
    assert is_owned(lock)


def test_the_beginning_of_a_function_is_covered() -> None:
    @covered
    def act(seen: list[str]) -> None:
        try:
            seen.append("begun")
        except KeyboardInterrupt:
            seen.append("interrupted")
            raise
        seen.append("through")

    def act_interrupted() -> None:
        _ = signal.now
        act(seen)

    seen: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        act_interrupted()
    assert seen == ["interrupted"]
    del seen[:]
    act(seen)
    assert seen == ["begun", "through"]


def entries_of(function: Callable[..., object]) -> list[Any]:
    """Which instructions each `try` of it covers."""
    code: Any = dis.Bytecode(function)
    return list(code.exception_entries)


@pytest.mark.parametrize("function", [sync.Lock.release, sync.RLock.release, Latch.release])
def test_no_instruction_of_a_release_comes_before_its_try(function: FunctionType) -> None:
    entries = entries_of(function)
    first = min(dis.get_instructions(function), key=lambda each: each.offset)
    assert first.opname == "RESUME"
    assert entries[0].start == 0
    assert entries[0].depth == 0


@pytest.mark.parametrize("size", [1, 30, 40, 700, 5000])
def test_a_function_of_any_size(size: int) -> None:
    """The numbers in the table have one digit, two or three."""
    lines = "\n".join(["        seen.append(1)"] * size)
    source = f"def act(seen):\n    try:\n{lines}\n    except KeyError:\n        seen.append(2)\n"
    names: dict[str, Any] = {}
    exec(source, names)
    before = entries_of(names["act"])
    act = covered(names["act"])
    after = entries_of(act)
    assert after[0] == before[0]._replace(start=0, end=before[0].start)
    assert after[1:] == before
    seen: list[int] = []
    act(seen)
    assert len(seen) == size
