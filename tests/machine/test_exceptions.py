"""What others send while the events are on: it is raised once, where the interpreter might raise
it, and leaves nothing behind."""

from __future__ import annotations

import ctypes
import dis
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

import pytest

import freezethreads
from freezethreads import Freezer
from freezethreads._machine import looks, trap
from helpers import WAIT, start, wait_for, wait_until
from machine import loaded, needs_monitoring, nothing_is_left

pytestmark = needs_monitoring


class Sent(BaseException):
    """What another thread sends."""


def send(ident: int) -> None:
    """Have `Sent` raised in a thread, as soon as that looks for it."""
    error = ctypes.py_object(Sent)
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), error) == 1


@pytest.fixture(autouse=True)
def leaves_nothing() -> Iterator[None]:
    yield
    assert nothing_is_left()
    assert not trap._kept
    assert not trap._calls
    assert not trap._stays
    assert not looks.under_way


@contextmanager
def under_way() -> Iterator[None]:
    """A freeze that waits for a thread all the time, and is not meant for any other."""
    freezer, ready, over = Freezer(), threading.Event(), threading.Event()

    def keep_going() -> None:
        with freezer.register(group="keeps going"), freezer.no_freeze():
            ready.set()
            over.wait(WAIT)

    def freeze() -> None:
        with freezer.freeze(where="unlocked", group="keeps going", timeout=2 * WAIT):
            pass

    waits = start(keep_going)
    wait_for(ready)
    freezes = start(freeze)
    wait_until(lambda: bool(trap.bars))
    try:
        yield
    finally:
        over.set()
        waits.finish()
        freezes.finish()


lock = threading.Lock()


def with_block() -> None:
    with lock:
        len([1])


def with_return() -> int:
    with lock:
        return len([1])


def with_raise() -> None:
    try:
        with lock:
            raise ValueError
    except ValueError:
        pass


def with_loop() -> None:
    for i in range(3):
        with lock:
            if i:
                break


def released() -> int:
    try:
        return len([1])
    finally:
        lock.release()


def acquired() -> None:
    if lock.acquire():  # after this call the interpreter itself may raise
        released()


def numbers() -> Iterator[int]:
    yield 1
    yield 2


def with_generator() -> None:
    """CPython runs one that is left in the middle once more, and raises nothing sent in there:
    it would be lost."""
    for _ in numbers():
        break


@pytest.mark.parametrize(
    ("function", "code"),
    [
        (with_block, with_block.__code__),
        (with_return, with_return.__code__),
        (with_raise, with_raise.__code__),
        (with_loop, with_loop.__code__),
        (acquired, released.__code__),
        (with_generator, numbers.__code__),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_what_is_sent_leaves_no_lock_held(
    function: Callable[[], object], code: CodeType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes in the trap before each instruction in turn."""
    meet = trap._meet
    entries: Any = dis.Bytecode(code).exception_entries  # type: ignore[attr-defined]
    first = entries[0].start  # nothing is held before
    offsets = [one.offset for one in dis.get_instructions(code) if one.offset >= first]
    held, lost, caught = [], [], []

    def run(offset: int) -> None:
        here = threading.get_ident()
        left = iter([offset])

        def meet_and_send(frame: FrameType) -> None:
            if frame.f_code is code and frame.f_lasti == offset and threading.get_ident() == here:
                for _ in left:
                    send(here)
            meet(frame)

        monkeypatch.setattr(trap, "_meet", meet_and_send)
        try:
            function()
            for _ in range(3):
                threading.get_ident()
            if not list(left):
                lost.append(offset)
        except Sent:
            caught.append(offset)
        if lock.locked():
            held.append(offset)
            lock.release()

    with under_way():
        for offset in offsets:
            start(run, offset).finish()
    assert not held
    assert not lost
    assert len(caught) > 2


def test_what_is_sent_before_the_trap_of_a_look_leaves_no_call_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its thread would make it in the next freeze of anybody, and pass one instruction unseen."""

    def knock() -> None:
        raise Sent

    monkeypatch.setattr(trap, "_knock", knock)
    with pytest.raises(Sent):
        trap.call_in_trap(list)  # everybody has been let go
    assert not trap._calls


def test_they_are_raised_once_and_everybody_goes_on() -> None:
    got, over = [0], False

    def run() -> None:
        while not over:
            try:
                while not over:
                    with_block()
            except Sent:
                got[0] += 1

    with loaded(other=with_raise_and_go_on) as load:
        worker = start(run)
        for n in range(30):
            with freezethreads.freeze(where="anywhere", timeout=WAIT):
                before = list(got)
                send(worker.ident or 0)
                assert got == before
            wait_until(lambda n=n: got[0] == n + 1)  # type: ignore[misc]
            load.goes_on()
        over = True
        worker.finish()
    assert got == [30]


def with_raise_and_go_on() -> None:
    try:
        raise ValueError
    except ValueError:
        pass
