"""Signals as something to be waited for, rather than exceptions at any point of the program."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["signals_to"]


@contextmanager
def signals_to(put: Callable[[signal.Signals], object]) -> Iterator[None]:
    """While the block lasts, call `put` with the first SIGINT and SIGTERM that comes.

    The second one ends the process, as it would by default. `put` must be safe to call at any
    point of the program, as that of a `SimpleQueue` is. For the main thread.
    """

    def handle(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        put(signal.Signals(number))

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
