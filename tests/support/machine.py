"""What the tests of the second engine share: what it needs, and threads of each kind to stop."""

from __future__ import annotations

import dis
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

import pytest

import freezethreads
from freezethreads._machine.sections import sections_of
from freezethreads._machine.stacks import shelter_of
from helpers import WAIT, Worker, start, wait_until

needs_monitoring = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="before CPython 3.12 there is no sys.monitoring"
)

WHERE = ("unlocked", "anywhere")
UNLOCKED, ANYWHERE = [pytest.param(where, marks=needs_monitoring) for where in WHERE]


class Load:
    """Threads that count how often each has gone round, until `stop()`."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.over = False
        self.workers: list[Worker[None]] = []

    def add(self, name: str, step: Callable[[], object]) -> None:
        """Have a thread call `step` again and again, and wait until it has gone round once."""
        self.counts[name] = 0

        def run() -> None:
            while not self.over:
                step()
                self.counts[name] += 1

        self.workers.append(start(run, name=name))
        wait_until(lambda: self.counts[name] > 0)

    def goes_on(self) -> None:
        """Wait until each thread has gone round again."""
        before = dict(self.counts)
        wait_until(lambda: all(self.counts[name] > before[name] for name in before))

    def stop(self) -> None:
        """End them all."""
        self.over = True
        for worker in self.workers:
            worker.finish()


@contextmanager
def loaded(**steps: Callable[[], object]) -> Iterator[Load]:
    """Threads that call these, as long as the block lasts."""
    load = Load()
    try:
        for name, step in steps.items():
            load.add(name, step)
        yield load
    finally:
        load.stop()


def nothing_is_left() -> bool:
    """Whether the interpreter has nothing of the engine's."""
    monitoring: Any = getattr(sys, "monitoring", None)
    return monitoring is None or all(
        monitoring.get_tool(tool) != "freezethreads" for tool in range(6)
    )


class Blocked:
    """A thread that waits in C for a lock that nobody else looks at, until `release()`."""

    def __init__(self, name: str = "blocked") -> None:
        self.came_back = False
        self._lock = threading.Lock()
        self._lock.acquire()
        self.ready = threading.Event()
        self.worker = start(self._run, name=name)
        assert self.ready.wait(WAIT)

    def _run(self) -> None:
        self.ready.set()
        self._lock.acquire()
        self.came_back = True

    def release(self) -> None:
        """Let its wait end."""
        self._lock.release()

    def finish(self) -> None:
        """Let it go, and wait for its end."""
        if self._lock.locked():
            self._lock.release()
        self.worker.finish()


def site_of(world: freezethreads.World, name: str) -> freezethreads.Site:
    """Where the thread of that name stands in a world."""
    (found,) = [info for info in world.threads if info.name == name]
    assert found.site is not None
    return found.site


@contextmanager
def computing_with(lock: threading.Lock) -> Iterator[None]:
    """A thread named "computes", which computes in a section of the lock until the block ends."""
    ready, over = threading.Event(), False

    def hold_it() -> None:
        with lock:
            ready.set()
            while not over:
                spin()

    worker = start(hold_it, name="computes")
    assert ready.wait(WAIT)
    try:
        yield
    finally:
        over = True
        worker.finish()


def spin() -> None:
    """Go round in a loop."""
    for _ in range(50):
        pass


def allocate() -> None:
    """Make many objects."""
    [[object() for _ in range(5)] for _ in range(5)]


def recurse(depth: int = 30) -> int:
    """Call itself."""
    return recurse(depth - 1) if depth else 0


def generate() -> int:
    """Resume a generator."""
    return sum(x * x for x in range(20))


def raise_and_catch() -> None:
    """Raise an exception."""
    try:
        int("x")
    except ValueError:
        pass


def sleep() -> None:
    """Wait in a call of C."""
    time.sleep(0.001)


def select() -> None:
    """Use a database."""
    connection = sqlite3.connect(":memory:")
    connection.execute("select 1").fetchall()
    connection.close()


def begin_thread() -> None:
    """Start a thread, and wait for its end."""
    thread = threading.Thread(target=spin)
    thread.start()
    thread.join()


STEPS: dict[str, Callable[[], object]] = {
    "spin": spin,
    "allocate": allocate,
    "recurse": recurse,
    "generate": generate,
    "raise": raise_and_catch,
    "sleep": sleep,
    "select": select,
    "begin": begin_thread,
}


class InPython:
    """A lock that is written in Python, and knows whether it is held."""

    def __init__(self) -> None:
        self._inner = threading.Lock()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        got = self._inner.acquire(blocking, timeout)
        return bool(got)

    def release(self) -> None:
        self._inner.release()

    def locked(self) -> bool:
        return self._inner.locked()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def is_in(code: CodeType, offset: int, chain: str | None) -> bool:
    """Whether the instruction there is in a section of that lock."""
    return any(
        section.start <= offset < section.end
        and (section.chain and ".".join(section.chain[1:])) == chain
        for section in sections_of(code)
    )


def called_in(function: Callable[..., object], chain: str | None) -> dict[str, bool]:
    """Of each global that the function loads, whether that is in a section of that lock."""
    code: CodeType = function.__code__
    return {
        one.argval: is_in(code, one.offset, chain)
        for one in dis.get_instructions(code)
        if one.opname == "LOAD_GLOBAL"
    }


def check_sheltered_while_held(
    lock: Any, is_looked_at: Callable[[CodeType], bool], call: Callable[[], object]
) -> None:
    """Call it; before each instruction of such code that finds the lock held it is in a section."""
    held, missed = [0], []
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
    instruction = monitoring.events.INSTRUCTION
    tool = next(tool for tool in range(6) if monitoring.get_tool(tool) is None)

    def look(code: CodeType, offset: int) -> None:
        if is_looked_at(code) and lock.locked():
            held[0] += 1
            if shelter_of(sys._getframe(1), "unlocked", running=True) is None:
                missed.append((code.co_name, offset))

    monitoring.use_tool_id(tool, "looks")
    try:
        monitoring.register_callback(tool, instruction, look)
        monitoring.set_events(tool, instruction)
        call()
    finally:
        monitoring.set_events(tool, 0)
        monitoring.register_callback(tool, instruction, None)
        monitoring.free_tool_id(tool)
    assert held[0] > 2
    assert not missed
    assert not lock.locked()
