"""`Event`, `Semaphore`, `BoundedSemaphore`, `Barrier`: the standard ones on our Condition.

Who sets an event or releases a semaphore is not stopped in the middle: whoever waits for it may be
inside `no_freeze()`. (The lock of a barrier is held during its action, where threads can stop.)
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from freezethreads._refrigerator.waits import plumbing, stop_if_asked
from freezethreads._registry.registry import armed
from freezethreads.sync._condition import Condition
from freezethreads.sync._locks import Latch, Lock

plumbing.add(__file__)


class Event(threading.Event):
    """`threading.Event`, waiting freezably. From any thread."""

    def __init__(self) -> None:
        super().__init__()
        self._cond = Condition(Latch())

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set; returns whether it was. `timeout` in seconds, None for ever.

        Stops at its beginning if it is asked to, also when it is set.
        """
        if armed.registries:
            stop_if_asked("Event.wait")
        return self._flag or super().wait(timeout)  # type: ignore[attr-defined]


class Semaphore(threading.Semaphore):
    """`threading.Semaphore`, waiting freezably. From any thread.

    Raises ValueError if `value` is negative.
    """

    def __init__(self, value: int = 1) -> None:
        super().__init__(value)
        self._cond = Condition(Latch())


class BoundedSemaphore(threading.BoundedSemaphore):
    """`threading.BoundedSemaphore`, waiting freezably. From any thread.

    Raises ValueError if `value` is negative.
    """

    def __init__(self, value: int = 1) -> None:
        super().__init__(value)
        self._cond = Condition(Latch())


class Barrier(threading.Barrier):
    """`threading.Barrier`, waiting freezably. From any thread. `timeout` in seconds, None for ever.

    Raises ValueError if `parties` is less than 1, where the standard one does.
    """

    def __init__(
        self,
        parties: int,
        action: Callable[[], None] | None = None,
        timeout: float | None = None,
    ) -> None:
        super().__init__(parties, action, timeout)
        self._cond = Condition(Lock())
