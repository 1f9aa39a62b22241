"""uvloop: its loop waits in C. The thread that runs one is woken to stop between two callbacks."""

from __future__ import annotations

from typing import Any, Final

from freezethreads._install._patches import Function, Row, Switch
from freezethreads._refrigerator.waits import stop_if_asked
from freezethreads._registry.record import here
from freezethreads._registry.registry import armed


def wake_to_stop(original: Function, switch: Switch, label: str) -> Function:
    """`Loop.run_forever`: who asks its thread for anything wakes the loop, meanwhile.

    A thread that has told of a waker of its own (`asyncio_loop.enrol`) needs no other.
    """

    def run_forever(self: Any) -> Any:
        records = [record for _, record in here.parking.members if record.waker is None]
        if not switch.on or not records:
            return original(self)

        def stand() -> None:
            # Not inside a world of one of its own tasks, whose end wakes it again.
            if armed.registries and not any(record.commands for record in records):
                stop_if_asked(label)

        def wake() -> None:
            try:
                self.call_soon_threadsafe(stand)
            except RecursionError:
                raise
            except RuntimeError:
                pass  # it is closed

        try:
            for record in records:
                record.waker = wake
            self.call_soon(stand)  # for what was asked before
            return original(self)
        finally:
            for record in records:
                record.waker = None

    return run_forever


TABLE: Final = (Row("uvloop", "Loop", "run_forever", wake_to_stop),)
