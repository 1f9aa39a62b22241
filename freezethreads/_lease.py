"""The watchdog of a freeze: a thread of its own, since the controller's may be stuck."""

from __future__ import annotations

from collections.abc import Callable

from freezethreads._original import OWN_THREADS, TIMEOUT_MAX, Timer
from freezethreads._todo import ABSENT, Freeze


class Lease(Timer):
    """Calls `expire(freeze)` after so many seconds, unless it is cancelled or called off before."""

    def __init__(self, seconds: float, freeze: Freeze, expire: Callable[[Freeze], object]) -> None:
        super().__init__(min(seconds, TIMEOUT_MAX), self._run_out)
        self.name = OWN_THREADS + "lease"
        self.daemon = True
        self._freeze = freeze
        self._expire = expire
        freeze.leases[self] = None

    def call_off(self) -> bool:
        """See to it that this one does not thaw. Returns False if it is too late for that."""
        self.cancel()
        return self._freeze.leases.pop(self, ABSENT) is not ABSENT

    def _run_out(self) -> None:
        # Whoever takes it off the list decides: a renewal that comes now, or this.
        if self._freeze.leases.pop(self, ABSENT) is not ABSENT:
            self._expire(self._freeze)
