"""Whose checkpoint it is: one at a time, so that their numbers and their files are in one order."""

from __future__ import annotations

from types import TracebackType

from freezethreads import Freezer
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.original import LockType
from freezethreads.checkpoint._errors import CheckpointError

__all__ = ["Turn"]


class Turn:
    """One caller's turn, which begins in its world and lasts until its checkpoint is durable.

    The rule of the lock, which all callers share: *nobody waits for a world, or stands frozen,
    while owning it*, or two could wait for each other. So it is only ever taken inside a world and
    without waiting, and it is given back before the end of the region in which the checkpoint is
    saved, where its owner may be frozen. Who finds it taken lets the world go and waits, owning
    nothing, for it to be free; the wait only passes the lock through its hands.

    A context manager. Leaving a block gives the turn back, if it was taken and not given back yet.
    """

    def __init__(self, freezer: Freezer, lock: LockType) -> None:
        self._freezer = freezer
        self._lock = lock
        self._mine = False

    def wait(self, deadline: Deadline) -> None:
        """Wait until nobody has the turn; CheckpointError at the deadline. Not inside a world."""
        if not self._lock.locked():
            return
        # Fork-safe: no child ever looks at this lock.
        with self._freezer.blocking("checkpoint: waiting for its turn", fork_safe=True):
            if not self._lock.acquire(timeout=deadline.remaining()):
                raise CheckpointError("another checkpoint is still being saved; none was made")
            self._lock.release()

    def take_nowait(self) -> bool:
        """Take the turn if nobody has it; whether that was so. Inside a world."""
        self._mine = self._lock.acquire(blocking=False)
        return self._mine

    def give(self) -> None:
        """Give the turn back, if it was taken and not given back yet."""
        if self._mine:
            self._mine = False
            self._lock.release()

    def __enter__(self) -> Turn:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.give()
