"""Freezable waits: nobody who stands frozen has taken anything, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

from freezethreads._deadline import Deadline
from freezethreads._record import Record
from freezethreads._wait import Waiter
from freezethreads.sync._waitable import Waitable
from stress.mutants._mutant import breaks, put


@breaks("a thread that stands frozen owns no lock that it waited for", "waits")
def lock_owned_while_frozen() -> None:
    def wait(self: Waitable, waiter: Waiter, take: Callable[[], bool], deadline: Deadline) -> bool:
        """Take it first, and look then whether one may come back."""
        while not take():
            if deadline.passed():
                return False
            waiter._go_away()
            waiter.bell.wait(deadline.remaining())
            if take():
                waiter._come_back()
                return True
            waiter._come_back()
        return True

    put(Waitable, "_wait_as", wait)


@breaks("who is frozen after it has been notified keeps the notification", "pipeline")
def notification_lost() -> None:
    release = Waiter.release

    def release_if_it_looks(self: Waiter) -> None:
        if not self.barred:
            release(self)

    put(Waiter, "release", release_if_it_looks)


@breaks("a todo wakes its thread from a freezable wait", "dozers")
def waiter_not_roused() -> None:
    put(Record, "rouse", lambda self: False)
