"""Freezable waits: nobody who stands frozen has taken anything, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType

from freezethreads._ground.completion import Bell
from freezethreads._ground.deadline import Deadline
from freezethreads._refrigerator.waits import Waiter
from freezethreads._registry.places import Place, wait_at
from freezethreads._registry.record import Record
from freezethreads.sync._locks import Mutex
from freezethreads.sync._queues import SimpleQueue
from freezethreads.sync._waitable import Waitable
from stress.mutants._mutant import breaks, put, replace


@breaks("a thread that stands frozen owns no lock that it waited for", "dozers", explored="notify")
def lock_owned_while_frozen() -> None:
    takes: dict[Waiter, Callable[[], bool]] = {}

    def wait(self: Mutex, waiter: Waiter, take: Callable[[], bool], deadline: Deadline) -> bool:
        takes[waiter] = take
        while not (take() or deadline.passed()):
            waiter.sleep(deadline.remaining())
        del takes[waiter]
        return take()

    def hand_over(self: Mutex) -> None:
        """Whoever releases it gives it to the first in line, wherever that one stands."""
        for waiter in list(filter(None, self._waiters))[:1]:
            takes.get(waiter, bool)()
            waiter.bell.ring()

    put(Mutex, "_wait_as", wait)
    put(Mutex, "_wake", hand_over)


@breaks(
    "a thread that stands frozen has taken no item that it waited for", "dozers", explored="item"
)
def item_taken_while_frozen() -> None:
    def wait(self: Waitable, waiter: Waiter, take: Callable[[], bool], deadline: Deadline) -> bool:
        """Take it first, and look then whether one may come back."""
        while not take():
            if deadline.passed():
                return False
            waiter._go_away()
            waiter.bell.wait(deadline.remaining())
            taken = take()
            waiter._come_back()
            if taken:
                return True
        return True

    put(SimpleQueue, "_wait_as", wait)


@breaks(
    "who is frozen after it has been notified keeps the notification",
    "pipeline",
    explored="notification",
)
def notification_lost() -> None:
    release = Waiter.release

    def release_if_it_looks(self: Waiter) -> None:
        if not self.barred:
            release(self)

    put(Waiter, "release", release_if_it_looks)


@breaks("a todo wakes its thread from a freezable wait", "dozers", explored="todo-in-wait")
def waiter_not_roused() -> None:
    put(Record, "rouse", lambda self: False)


@breaks(
    "a wait says for whom it does not count, whatever its thread does next",
    explored="wait-in-no-freeze",
)
def wait_closed_by_counter() -> None:
    def wait_for_all_at(
        frame: FrameType,
        label: str,
        fork_safe: bool,
        bell: Bell | None,
        closed: tuple[object, ...],
    ) -> Place:
        return wait_at(frame, label, fork_safe, bell, ())

    replace(wait_at, wait_for_all_at)
