"""Promise 11: a handler that comes to stand, wherever it has interrupted the library.

Another thread freezes at each bytecode of the library in turn, and the handler calls `safepoint()`.
"""

from __future__ import annotations

import time
from contextlib import nullcontext

import pytest

from fork_helpers import looping
from freezethreads import Freezer, Statistics
from handlers import Operation, Tracer, by_signal, eventually, freeze, hold
from helpers import WAIT, Worker, start

AT_MOST = 80
"""Bytecodes of each operation that are tried."""
LONG = 0.1
"""Seconds in which the other thread comes to ask, unless it has to be rung for that first."""


def look(freezer: Freezer, worker: Worker[None]) -> None:
    """What has to be counted under a lock."""
    freezer.statistics()
    freezer.sites()


class Standing:
    """A handler that has another thread freeze, and stops for that."""

    def __init__(self, freezer: Freezer) -> None:
        self.freezer = freezer
        self.controller: Worker[Statistics] | None = None

    def __call__(self) -> None:
        self.controller = start(self._control)
        given_up = time.monotonic() + LONG
        while self.controller.is_alive() and not self._is_asked() and time.monotonic() < given_up:
            time.sleep(0)
        self.freezer.safepoint("in a handler")

    def finish(self) -> None:
        """It has stood, and thawed."""
        controller = self.controller
        if controller is not None:
            eventually(lambda: self._has_ended(controller))
            controller.finish()

    def _has_ended(self, controller: Worker[Statistics]) -> bool:
        self.freezer.safepoint("afterwards")
        return not controller.is_alive()

    def _control(self) -> Statistics:
        return self.freezer.run_frozen(self.freezer.statistics, timeout=WAIT)

    def _is_asked(self) -> bool:
        """Whether the controller has asked this thread to stop, or waits for its own turn."""
        turns = self.freezer._controller._turns.waiting()
        own = [each for each in turns if each.asked.thread is self.controller]
        record = self.freezer._registry.own.record
        asked = self.freezer._registry.active if record is None else record.todo
        return any(each in asked or each is not turns[0] for each in own)


# A thread that is never let go keeps to itself what a signal would raise in it.
@pytest.mark.timeout(60, method="thread")
@pytest.mark.parametrize("enrolled", [True, False])
@pytest.mark.parametrize("operation", [freeze, hold, look])
def test_whoever_freezes_can_thaw(operation: Operation, enrolled: bool) -> None:
    freezer = Freezer()
    with (
        looping(freezer, "one", group="work") as worker,
        looping(freezer, "two", group="work"),
        freezer.register() if enrolled else nullcontext(),
    ):
        counter = Tracer(None, lambda: None)
        for _ in range(2):  # CPython 3.12 reports no bytecodes to the first tracer of a process
            counter.trace(lambda: operation(freezer, worker))
        spots = list(counter.passed)
        assert len(spots) > 20
        for spot in spots[:: -(-len(spots) // AT_MOST)]:
            standing = Standing(freezer)
            tracer = Tracer(spot, lambda: by_signal(standing))  # noqa: B023
            tracer.trace(lambda: operation(freezer, worker))
            standing.finish()
