"""Controllers take turns: first come, first served.

The queue is a dict in order of arrival; whose freeze comes first in it has the turn. Who leaves,
for whatever reason, rings the bell of the first one left. As everything here it is
level-triggered: leaving twice is harmless.

Who is parked has no turn: others want it, and some of them let nobody go before they had it. So
each thread passes its turn on by itself, in the refrigerator's door, and queues again when it runs.
"""

from __future__ import annotations

from freezethreads._ground.deadline import Deadline
from freezethreads._ground.errors import FreezeTimeout
from freezethreads._registry.record import Record
from freezethreads._registry.requests import Freeze


class Turns:
    """The queue of one freezer's controllers."""

    def __init__(self) -> None:
        self._queue: dict[Freeze, None] = {}

    @property
    def current(self) -> Freeze | None:
        """The freeze that has the turn, or None."""
        return next(iter(list(self._queue)), None)

    def waiting(self) -> list[Freeze]:
        """The queue, the one that has the turn first. From any thread."""
        return list(self._queue)

    def join(self, freeze: Freeze) -> None:
        """Queue up. May be repeated: it keeps its place."""
        self._queue[freeze] = None

    def wait(self, freeze: Freeze, deadline: Deadline) -> None:
        """Wait until `need_not_wait`; raise FreezeTimeout at the deadline."""
        while not self.need_not_wait(freeze, deadline):
            freeze.bell.wait(deadline.remaining())

    def need_not_wait(self, freeze: Freeze, deadline: Deadline) -> bool:
        """Whether `freeze` has the turn, or no longer queues for it, having lost its place to those
        who stopped its thread; raise FreezeTimeout at the deadline."""
        current = self.current
        if current is freeze or freeze not in self._queue:
            return True
        if deadline.passed():
            holder = "another controller" if current is None else repr(current)
            raise FreezeTimeout(
                f"the time ran out while {holder} had the freezer; nothing was frozen"
            )
        return False

    def leave(self, freeze: Freeze) -> None:
        """Give the turn back, or stop waiting for it. From any thread; may be repeated."""
        self._queue.pop(freeze, None)
        self.ring()

    def ring(self) -> None:
        """Have the first one look whether it is its turn. From any thread; may be repeated."""
        first = self.current
        if first is not None:
            first.bell.ring()

    def pass_on(self, record: Record, freeze: Freeze) -> None:
        """The calling thread is about to stand for `freeze`, and has not used its turn.

        It queues again when it runs, and is told to. But who waits for a world keeps its place
        during another one, which ends before its turn. (It may stand for that while it waits: in a
        signal handler, or because it takes its turn in steps.)
        """
        for request in self.waiting():
            if not request.barred or not request.is_by(record):
                continue
            keeps_its_place = (
                request.kind == freeze.kind == "freeze" and request.registry is freeze.registry
            )
            if not keeps_its_place:
                self.leave(request)
                request.bell.ring()

    def of_thread(self, ident: int) -> Freeze | None:
        """The freeze for which a thread has the turn, or waits for it."""
        return next((freeze for freeze in list(self._queue) if freeze.owner == ident), None)

    def reset(self) -> None:
        """In the child of a fork: nobody waits."""
        for freeze in self._queue:
            freeze.cancel()
        self._queue = {}
