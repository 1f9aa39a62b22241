"""The turn: a freezer has one world at a time, and one registered thread that asks to hold.

First come, first served. The queue is a dict in order of arrival, and whose freeze is the first in
it has the turn. ::

                 join                     whoever was before it leaves
    (none) ----------------> QUEUED ------------------------------------> OFFERED
       ^                        |                                            |
       |   pass_on: its thread comes to stand in the refrigerator            | keep: its thread,
       +------------------------+--------------------------------------------+ with its doors shut
       |                                                                     v
       +----------------- leave: the freeze is over, by anybody ----------- KEPT

A thread that stands has no turn that it has not kept: others want it, and some of them let nobody
go before they had it. So it passes its turn on by itself, on its way into the refrigerator, and
queues again when it runs. A thread that has kept its turn to freeze *commands*, in the same step in
which it finds that nothing asks it to stop (see `_registry.status`): it stops for nobody of this
freezer until its freeze is over.

Why nobody waits for ever. Whoever leaves, for whatever reason, rings the bell of the first that is
left; a bell keeps a ring that nobody waits for; and who is rung looks. So it is enough that each
one that is the first leaves at some time:

* One whose thread runs comes, and keeps its turn or passes it on.
* One whose thread comes to stand passes it on before it does. It keeps its place only if it waits
  to freeze, and stands for a world of the same freezer: that one ends before its turn.
* One that is KEPT ends as its freeze does: by a thaw, a lease, a time-out, or with its thread.
* One whose thread has ended is released by the thread's lifeline (`_registry.record`).

Each step is one operation on the queue, and may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType

from freezethreads._ground.deadline import Deadline
from freezethreads._ground.errors import FreezeTimeout
from freezethreads._refrigerator.refrigerator import visit, wait_away
from freezethreads._registry.doors import call_shut
from freezethreads._registry.places import Place, place_of
from freezethreads._registry.record import Record
from freezethreads._registry.registry import Registry
from freezethreads._registry.requests import Freeze
from freezethreads._registry.status import commanding
from freezethreads._report.ownership import where


class Turns:
    """One queue of one freezer. Who keeps a turn of it `commands`, or does not.

    The `queue` itself is public so that a thread on its way into the refrigerator need make no call
    where nobody queues. It has put its own request there itself, so it cannot miss that.
    """

    def __init__(self, registry: Registry, commands: bool) -> None:
        self._registry = registry
        self._commands = commands
        self.queue: dict[Freeze, None] = {}

    @property
    def current(self) -> Freeze | None:
        """The freeze that has the turn, or None. From any thread."""
        return next(iter(list(self.queue)), None)

    def waiting(self) -> list[Freeze]:
        """The queue, the one that has the turn first. From any thread."""
        return list(self.queue)

    def of_thread(self, ident: int) -> Freeze | None:
        """The freeze for which a thread has the turn, or waits for it. From any thread."""
        return next((freeze for freeze in list(self.queue) if freeze.asked.ident == ident), None)

    def take(
        self,
        freeze: Freeze,
        deadline: Deadline,
        place: Place,
        let_go: Callable[[], object] = int,
    ) -> None:
        """Wait for the turn as a stopped thread, and come back with it. By its thread.

        A thread that has to stop on the way back passes it on, and queues again. One that does not,
        being in a region, or in a signal handler while it stands frozen, goes on with it. Raises
        `FreezeTimeout` at the deadline. `let_go` is called if the wait raises, before the thread
        may have to stop.
        """
        while True:
            self._join(freeze)
            wait_away(self._registry, place, lambda: self._wait(freeze, deadline, let_go))
            if call_shut(self._keep, freeze):
                return

    def take_nowait(self, freeze: Freeze, deadline: Deadline, frame: FrameType) -> bool:
        """Queue up, and return whether it is the turn of `freeze`. By its thread.

        The bell of `freeze` rings when that may have changed. If the thread has the turn and is
        asked to stop, it passes the turn on, and stops where `frame` is. Raises `FreezeTimeout` at
        the deadline.
        """
        while True:
            self._join(freeze)
            if not self._need_not_wait(freeze, deadline):
                return False
            if call_shut(self._keep, freeze):
                return True
            record = self._registry.own.record
            if record is not None and record.is_asked_to_stop:
                place = place_of(frame, "safepoint", "waiting for its turn to freeze")
                visit(self._registry, record, place)

    def leave(self, freeze: Freeze) -> None:
        """Give the turn back, or stop waiting for it. From any thread; may be repeated."""
        self.queue.pop(freeze, None)
        self.ring()

    def ring(self) -> None:
        """Have the first one look whether it is its turn. From any thread; may be repeated."""
        first = self.current
        if first is not None:
            first.bell.ring()

    def pass_on(self, record: Record, freeze: Freeze) -> None:
        """The calling thread is about to stand for `freeze`: it keeps no turn that it has not kept.

        Its request is told, and queues again when the thread runs. One that waits to freeze keeps
        its place during a world. (Its thread may stand for that while it waits: in a signal
        handler, or because it takes its turn without waiting.)
        """
        for request in list(self.queue):
            if request.keeps_turn or not request.asked.is_by(record):
                continue
            keeps_its_place = (
                request.asked.kind == freeze.asked.kind == "freeze"
                and request.registry is freeze.registry
            )
            if not keeps_its_place:
                self.leave(request)
                request.bell.ring()

    def reset(self) -> None:
        """In the child of a fork: nobody waits."""
        for freeze in self.queue:
            freeze.end_in_child()
        self.queue = {}

    def _join(self, freeze: Freeze) -> None:
        """Queue up. May be repeated: it keeps its place."""
        freeze.keeps_turn = False
        self.queue[freeze] = None

    def _wait(self, freeze: Freeze, deadline: Deadline, let_go: Callable[[], object]) -> None:
        try:
            while not self._need_not_wait(freeze, deadline):
                freeze.bell.wait(deadline.remaining())
        except BaseException:
            let_go()
            raise

    def _need_not_wait(self, freeze: Freeze, deadline: Deadline) -> bool:
        """Whether `freeze` has the turn, or no longer queues for it, its thread having come to
        stand; raise FreezeTimeout at the deadline."""
        current = self.current
        if current is freeze or freeze not in self.queue:
            return True
        if deadline.passed():
            raise _timeout(current)
        return False

    def _keep(self, freeze: Freeze) -> bool:
        """Whether it is `freeze`'s turn, which its thread does not pass on from now on.

        With its doors shut: a signal handler must not have it stand, and pass its turn on, when it
        has just found that it may keep it.
        """
        freeze.keeps_turn = self._may_keep(freeze)
        return freeze.keeps_turn

    def _may_keep(self, freeze: Freeze) -> bool:
        """Whether its thread has the turn and need not stop; it commands from that step on.

        A thread in a region counts as stopped, and commands nothing.
        """
        if self.current is not freeze and not freeze.done:
            return False
        record = self._registry.own.record
        if self._commands and record is not None and not record.depth:
            is_shut = record.shut or record.parking.shut > 1  # else it is this very call
            doors = () if is_shut else (self._registry,)
            parking = record.parking
            status = parking.word.change(commanding, freeze, doors, parking.unfinished)
            return freeze in status.commands or freeze.done
        return True


def _timeout(current: Freeze | None) -> FreezeTimeout:
    """What its time was over for: that one had the turn."""
    holder = "another controller" if current is None else repr(current)
    error = FreezeTimeout(f"the time ran out while {holder} had the freezer; nothing was frozen")
    error._advice = "Have that controller thaw, or give its freeze a lease"
    if current is not None and current.made_at is not None:
        error._advice += f"; it was made at {where(current.made_at)}"
    error._advice += "."
    return error
