"""uvloop: its loop waits in C. The thread that runs one is woken to stop between two callbacks."""

from __future__ import annotations

from typing import Any, Final

from freezethreads._install._patches import Function, Row, Switch
from freezethreads._refrigerator.waits import stop_if_asked
from freezethreads._registry.record import Record, here
from freezethreads._registry.registry import armed
from freezethreads.integrations.asyncio_loop import tell_loop


def wake_to_stop(original: Function, switch: Switch, label: str) -> Function:
    """`Loop.run_forever`: who asks its thread for anything wakes the loop, meanwhile.

    A thread that has told of a waker of its own (`asyncio_loop.enrol`) needs no other. One that is
    enrolled by what the loop runs has this one from then on.
    """

    def run_forever(self: Any) -> Any:
        parking = here.parking
        if not switch.on or parking.waker is not None:
            return original(self)

        def woken() -> list[Record]:
            return [record for _, record in parking.members if record.waker is wake]

        def stand() -> None:
            # Not inside a world of one of its own tasks, whose end wakes it again.
            if armed.registries and not any(record.commands for record in woken()):
                stop_if_asked(label)

        def wake() -> None:
            tell_loop(self, stand)

        try:
            parking.waker = wake
            for _, record in parking.members:
                if record.waker is None:
                    record.waker = wake
            if woken():
                self.call_soon(stand)  # for what was asked before
            return original(self)
        finally:
            parking.waker = None
            for record in woken():
                record.waker = None

    return run_forever


TABLE: Final = (Row("uvloop", "Loop", "run_forever", wake_to_stop),)
