"""The watchdog of a freeze: a thread of its own, since the controller's may be stuck."""

from __future__ import annotations

from collections.abc import Callable

from freezethreads._ground.completion import Bell
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.errors import starting_thread
from freezethreads._ground.original import OwnThread, allocate_lock
from freezethreads._registry.requests import Freeze


class Lease(OwnThread):
    """Calls `expire(freeze)` after so many seconds, unless it is cancelled or called off before.

    `user` is for whom it was made: a lease of an inner world does not outlive that. To make it, or
    to start it, raises `FreezeError` if there is no thread to be had.
    """

    def __init__(
        self, seconds: float, freeze: Freeze, user: object, expire: Callable[[Freeze], object]
    ) -> None:
        with starting_thread("a lease"):
            super().__init__(name="freezethreads-lease", daemon=True)
        self.user = user
        self.seconds = seconds
        self._freeze = freeze
        self._deadline = Deadline(seconds)
        # Never waited for by who cancels, so that a signal handler may do so in the middle of it.
        self._bell = Bell()
        self._is_cancelled = False
        # Whoever gets it decides, and nobody gives it back: a renewal in time, or the end.
        self._claim = allocate_lock()
        self._expire = expire
        freeze.leases[self] = None

    def start(self) -> None:
        """As of any thread."""
        with starting_thread("a lease"):
            super().start()

    def run(self) -> None:
        """Wait, and thaw."""
        while not self._is_cancelled and not self._deadline.passed():
            self._bell.wait(self._deadline.remaining())
        if not self._is_cancelled:
            self._run_out()

    def remaining(self) -> float:
        """The seconds until it runs out. From any thread."""
        return self._deadline.remaining()

    def ring(self) -> None:
        """Have it look at the time anew. From any thread."""
        self._bell.ring()

    def cancel(self) -> None:
        """It is not needed any more. From any thread; may be repeated, and never waits."""
        self._is_cancelled = True
        self._bell.ring()

    def drop(self) -> None:
        """The same, and it is no lease of the freeze any more, which goes on."""
        self.cancel()
        self._freeze.leases.pop(self, None)

    def call_off(self) -> bool:
        """See to it that this one does not thaw. Returns False, and leaves it on the freeze's list,
        if it is too late for that. From any thread."""
        self.cancel()
        in_time = self._claim.acquire(False)
        if in_time:
            self._freeze.leases.pop(self, None)
        return in_time

    def _run_out(self) -> None:
        if self._freeze.lasts_for(self.user) and self._claim.acquire(False):
            self._expire(self._freeze)
