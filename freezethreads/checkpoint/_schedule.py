"""Doing something every so often, in a thread in the background."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Event

from freezethreads._ground.errors import starting_thread
from freezethreads._ground.original import TIMEOUT_MAX, OwnThread, monotonic, note_call

__all__ = ["Schedule"]


class Schedule:
    """Calls `work` every `every` seconds in a daemon thread, until `stop`. It must not raise.

    At a fixed rate on the monotonic clock: the calls are due at whole multiples of `every` after
    the start, however long each takes. Those that are due while one still runs are left out.
    Raises `FreezeError` if there is no thread to be had.
    """

    def __init__(self, every: float, work: Callable[[], object]) -> None:
        self._every = every
        self._work = work
        self._stopping = Event()
        with starting_thread("every=seconds"):
            self._thread = OwnThread(target=self._run, name="freezethreads-checkpoint", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Begin no further call, and wait for the end of one under way. May be repeated."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        note_call()
        due = monotonic() + self._every
        while not self._stopping.wait(min(max(due - monotonic(), 0.0), TIMEOUT_MAX)):
            self._work()
            missed = math.floor((monotonic() - due) / self._every)
            due += self._every * (1 + max(missed, 0))
