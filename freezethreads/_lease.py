"""The watchdog of a freeze: a thread of its own, since the controller's may be stuck."""

from __future__ import annotations

from collections.abc import Callable

from freezethreads._errors import starting_thread
from freezethreads._original import OWN_THREADS, TIMEOUT_MAX, Timer, allocate_lock
from freezethreads._todo import Freeze


class Lease(Timer):
    """Calls `expire(freeze)` after so many seconds, unless it is cancelled or called off before.

    To make it, or to start it, raises `FreezeError` if there is no thread to be had.
    """

    def __init__(self, seconds: float, freeze: Freeze, expire: Callable[[Freeze], object]) -> None:
        super().__init__(min(seconds, TIMEOUT_MAX), self._run_out)
        self.name = OWN_THREADS + "lease"
        with starting_thread("a lease"):
            self.daemon = True
        self._freeze = freeze
        # Whoever gets it decides, and nobody gives it back: a renewal in time, or the end.
        self._claim = allocate_lock()
        self._expire = expire
        freeze.leases[self] = None

    def start(self) -> None:
        """As of any thread."""
        with starting_thread("a lease"):
            super().start()

    def call_off(self) -> bool:
        """See to it that this one does not thaw. Returns False, and leaves it on the freeze's list,
        if it is too late for that. From any thread."""
        self.cancel()
        in_time = self._claim.acquire(False)
        if in_time:
            self._freeze.leases.pop(self, None)
        return in_time

    def _run_out(self) -> None:
        if self._claim.acquire(False):
            self._expire(self._freeze)
