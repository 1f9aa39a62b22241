"""A program whose controllers are hit by exceptions, and what has to be true of it afterwards."""

from __future__ import annotations

import threading
import time

from freezethreads import Freezer, NotRegistered, State
from freezethreads._registry.record import here
from helpers import WAIT, start, wait_for
from injection import Boom

PAUSE = 0.0005
"""Seconds between two rounds of a thread: each bytecode costs a call while it is watched."""


class Program:
    """Three threads that pass safepoints and blocking regions, and count."""

    def __init__(self) -> None:
        self.freezer = Freezer("program")
        self.counts = [0, 0, 0]
        self._stop = threading.Event()
        ready = [threading.Event() for _ in self.counts]
        self.threads = [start(self._loop, i, ready[i], name=f"w{i}") for i in range(3)]
        for event in ready:
            wait_for(event)

    def _loop(self, index: int, ready: threading.Event) -> None:
        with self.freezer.register(group="in"):
            ready.set()
            while not self._stop.is_set():
                self.counts[index] += 1
                if index:
                    self.freezer.safepoint()
                    time.sleep(PAUSE)
                else:
                    with self.freezer.blocking():
                        time.sleep(PAUSE)

    def check(self) -> None:
        """All run, nothing is asked of anybody, no lock is held, and it can be frozen again."""
        before = list(self.counts)
        deadline = time.monotonic() + WAIT
        while any(was == now for was, now in zip(before, self.counts, strict=True)):
            assert time.monotonic() < deadline, f"left frozen: {self.freezer.threads()}"
            time.sleep(PAUSE)
        assert not self.freezer._registry.active
        # A todo, perhaps: its thread is about to make it, and the flag is lowered after that.
        while self.freezer._registry.pending or self.freezer.armed:
            assert time.monotonic() < deadline, f"still asked: {self.freezer._registry.pending}"
            time.sleep(PAUSE)
        assert self.freezer._controller._turns.current is None
        with self.freezer.freeze(timeout=WAIT) as world:
            frozen = list(self.counts)
            assert {thread.state for thread in world.threads} == {State.FROZEN}
            assert frozen == self.counts
        lock = self.freezer._registry.recorder._lock
        assert not lock._is_owned()  # type: ignore[attr-defined]
        assert lock.acquire(timeout=WAIT)
        lock.release()
        for lease in [t for t in threading.enumerate() if t.name == "freezethreads-lease"]:
            lease.join(WAIT)
            assert not lease.is_alive()

    def end(self) -> None:
        self._stop.set()
        for thread in self.threads:
            thread.finish()


def check_after(program: Program, boom: Boom) -> None:
    try:
        program.freezer.unregister()  # which the exception kept `with register()` from
    except NotRegistered:
        pass
    try:
        assert here.parking.shut == 0, "the doors are left shut"
        program.check()
    except BaseException as error:
        error.add_note(f"after an exception {boom}")
        raise
