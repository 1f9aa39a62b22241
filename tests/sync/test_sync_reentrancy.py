"""`SimpleQueue.put` in `__del__`, in a weakref's callback, in a handler: at any moment."""

from __future__ import annotations

import gc
import queue
import sys
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import freezethreads
from freezethreads import Freezer, sync
from helpers import WAIT

LIBRARY = str(Path(freezethreads.__file__).parent)


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("reentrancy")


class Putting:
    """Puts when it dies."""

    def __init__(self, items: sync.SimpleQueue[str], item: str) -> None:
        self._items, self._item = items, item

    def __del__(self) -> None:
        self._items.put(self._item)


class Tracer:
    """Calls `act` before each bytecode of the library that the calling thread comes to first."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.spots: set[tuple[str, int]] = set()
        self._act = act
        self._acting = False

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        if self._acting or not frame.f_code.co_filename.startswith(LIBRARY):
            return None
        frame.f_trace_opcodes = True
        spot = (frame.f_code.co_qualname, frame.f_lasti)
        if event == "opcode" and spot not in self.spots:
            self.spots.add(spot)
            self._acting = True
            try:
                self._act()
            finally:
                self._acting = False
        return self


@pytest.mark.parametrize("how", ["__del__", "directly"])
def test_a_put_at_any_moment_of_a_put_or_get(freezer: Freezer, how: str) -> None:
    """Nothing is lost, and nothing deadlocks."""
    items: sync.SimpleQueue[str] = sync.SimpleQueue()
    counts: Counter[str] = Counter()

    def put() -> None:
        counts["put"] += 1
        if how == "__del__":
            Putting(items, "again")
        else:
            items.put("again")

    def take(timeout: float) -> None:
        try:
            items.get(timeout=timeout)
            counts["taken"] += 1
        except queue.Empty:
            pass

    def use() -> None:
        for _ in range(20):
            items.put("item")
            counts["put"] += 1
            take(WAIT)
        while not items.empty():
            take(WAIT)
        take(0.001)

    previous = sys.gettrace()
    tracer = Tracer(put)
    # CPython 3.12 reports bytecodes only if some frame has asked for that before settrace().
    sys._getframe().f_trace_opcodes = True
    with freezer.register():
        sys.settrace(tracer)
        try:
            use()
        finally:
            sys.settrace(previous)
    assert len(tracer.spots) > 100
    assert items.qsize() == counts["put"] - counts["taken"]


def _put(items: sync.SimpleQueue[str]) -> Callable[[object], None]:
    return lambda _: items.put("gone")


def test_a_put_in_a_weakref_callback(freezer: Freezer) -> None:
    items: sync.SimpleQueue[str] = sync.SimpleQueue()

    class Thing:
        pass

    thing = Thing()
    reference = weakref.ref(thing, _put(items))
    thing.__dict__["itself"] = thing
    del thing
    gc.collect()
    assert items.get(timeout=WAIT) == "gone"
    assert reference() is None
