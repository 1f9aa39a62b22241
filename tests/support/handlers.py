"""What a signal handler, a `__del__` and a weakref callback do, at any moment that a test picks."""

from __future__ import annotations

import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import freezethreads
from fork_helpers import state_of
from freezethreads import Freezer, State
from helpers import WAIT, Worker

LIBRARY = str(Path(freezethreads.__file__).parent)
Spot = tuple[CodeType, int]
Operation = Callable[[Freezer, Worker[None]], object]


class Tracer:
    """Calls `act` when the calling thread first comes to a bytecode; notes each that it passes."""

    def __init__(self, target: Spot | None, act: Callable[[], None]) -> None:
        self.passed: dict[Spot, None] = {}
        self._target = target
        self._act = act

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        if not frame.f_code.co_filename.startswith(LIBRARY):
            return None
        frame.f_trace_opcodes = True
        spot = (frame.f_code, frame.f_lasti)
        if event == "opcode" and spot not in self.passed:
            self.passed[spot] = None
            if spot == self._target:
                self._act()
        return self

    def trace(self, call: Callable[[], object]) -> None:
        previous = sys.gettrace()
        sys.settrace(self)
        try:
            call()
        finally:
            sys.settrace(previous)


def by_signal(call: Callable[[], None]) -> None:
    """Have a signal handler make the call, now."""
    previous = signal.signal(signal.SIGUSR1, lambda *_: call())
    signal.raise_signal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, previous)


class Dying:
    """Makes a call when it dies."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call

    def __del__(self) -> None:
        self._call()


def by_del(call: Callable[[], None]) -> None:
    """Have a `__del__` make the call, now."""
    Dying(call)


def by_weakref(call: Callable[[], None]) -> None:
    """Have a weakref callback make the call, now."""
    reference = weakref.ref(Dying(int), lambda _: call())
    assert reference() is None


WAYS = [by_signal, by_del, by_weakref]


def ask_and_visit(freezer: Freezer, worker: Worker[None]) -> None:
    """Todos pending for oneself when a safepoint is visited."""
    futures = freezer.todo_all(int)
    freezer.safepoint("asked")
    assert futures[-1].done()


def block(freezer: Freezer, worker: Worker[None]) -> None:
    """A blocking region that ends with a todo."""
    with freezer.blocking("region"):
        freezer.todo(threading.current_thread(), int)
    with freezer.blocking(), freezer.no_freeze(), freezer.blocking():
        pass


def enrol(freezer: Freezer, worker: Worker[None]) -> None:
    """Leave the registry and come back, with a todo pending."""
    freezer.todo(threading.current_thread(), int)
    freezer.unregister()
    freezer.register(group="elsewhere").move("")


def freeze(freezer: Freezer, worker: Worker[None]) -> None:
    """A world, and a call in it."""
    with freezer.freeze(timeout=WAIT) as world:
        assert world.call(worker, threading.get_ident) == worker.ident
        assert state_of(freezer, worker) is State.FROZEN


def hold(freezer: Freezer, worker: Worker[None]) -> None:
    """A hold of a group that the calling thread is not in."""
    with freezer.hold(timeout=WAIT, group="work"):
        assert state_of(freezer, worker) is State.FROZEN
        freezer.safepoint()


OPERATIONS: list[Operation] = [ask_and_visit, block, enrol, freeze, hold]


def eventually(true: Callable[[], bool]) -> None:
    """Fail if it does not become true in time."""
    give_up = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < give_up
