"""Who counts as stopped, and what holds until the thaw."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import monotonic

from freezethreads._controller import settling
from freezethreads._controller.controller import Controller
from freezethreads._ground.deadline import Deadline
from freezethreads._refrigerator.blocking import Blocking
from freezethreads._refrigerator.no_freeze import NoFreeze
from freezethreads._refrigerator.pending import PendingRegion
from freezethreads._refrigerator.waits import Waiting
from freezethreads._registry.outstanding import Outstanding
from freezethreads._registry.places import Place, place_of
from freezethreads._registry.record import Record, here
from freezethreads._registry.requests import Freeze
from freezethreads._registry.status import Stay
from freezethreads._registry.todos import ABSENT
from freezethreads._registry.unfinished import Unfinished
from stress.mutants._mutant import breaks, put, replace


@breaks("freeze() returns when all stand", "bank", "pipeline", explored="register")
def wait_for_nobody() -> None:
    def wait(self: Controller, freeze: Freeze, deadline: Deadline) -> None:
        freeze.stood_at = monotonic()
        self._registry.recorder.stood(freeze.stood_at - freeze.asked.at)

    put(Controller, "_wait", wait)


@breaks("a thread that is heard of twice counts once", "bank", explored="two-members")
def counted_twice() -> None:
    def arrive(self: Freeze, record: Record) -> bool:
        """It is a number that goes down, whoever comes."""
        was_awaited = self.awaited.pop(record, ABSENT) is not ABSENT
        if not was_awaited:
            for other in list(self.awaited)[:1]:
                self.awaited.pop(other, None)
        if not self.awaited:
            self.bell.ring()
        return was_awaited

    put(Freeze, "arrive", arrive)


@breaks("a blocked thread's way back is barred", "regions", explored="region")
def region_not_barred() -> None:
    def leave(self: Blocking, *exc_info: object) -> None:
        record = self._registry.own.record
        if record is not None:
            record.depth -= 1
            if not record.depth:
                record.last, record.away = record.away, None

    put(Blocking, "__exit__", leave)


@breaks("a wait that ends during a freeze returns after the thaw", "pipeline", explored="notify")
def wait_not_barred() -> None:
    def come_back(self: Waiting) -> None:
        parking = self._parking
        if parking is not None:
            parking.away = None
            for _, record in parking.members:
                record.last = self._place
            self._make_todos(parking)
            parking.waiter = None
        self.occupied = False

    put(Waiting, "_come_back", come_back)


@breaks("nobody is frozen inside no_freeze()", "nofreeze", explored="no-freeze")
def no_freeze_ignored() -> None:
    put(NoFreeze, "__enter__", lambda self: None)
    put(NoFreeze, "__exit__", lambda self, *exc_info: None)


@breaks(
    "a waker is called when something is asked of its thread",
    "wakers",
    explored="request-and-freeze",
)
def waker_not_called() -> None:
    put(Record, "call_waker", lambda self: None)


@breaks(
    "a place says what its thread has unfinished there",
    explored="wait-in-pending",
)
def unfinished_forgotten_at_a_place() -> None:
    def spares_no_place(self: Freeze, closed: tuple[object, ...]) -> bool:
        return spares(self, tuple(each for each in closed if each in here.parking.unfinished))

    spares: Callable[[Freeze, tuple[object, ...]], bool] = Freeze.spares
    put(Freeze, "spares", spares_no_place)


@breaks("a stay says what its thread has unfinished", explored="pending-under-hold")
def stays_in_the_middle_count() -> None:
    put(Stay, "__init__", _begin_with_nothing_unfinished)


def _begin_with_nothing_unfinished(self: Stay, place: Place, closed: tuple[object, ...]) -> None:
    self.place = place
    self.closed = tuple(each for each in closed if type(each) is not Unfinished)
    self.begun = False


@breaks("who begins something in a region has come out of it before", explored="pending-in-region")
def pending_from_a_region() -> None:
    def enter(self: PendingRegion) -> None:
        parking = here.parking
        place = place_of(sys._getframe(1), "safepoint", None)
        own = Unfinished(self._registry, self._kinds, place)
        record = self._registry.own.record
        self._change((*parking.unfinished, own), None if record is None else record.away)

    put(PendingRegion, "__enter__", enter)


@breaks("nothing of what is to be settled is outstanding when all stand", explored="outstanding")
def stands_unsettled() -> None:
    replace(settling.check_settled_still, lambda registry, freeze, deadline: None)


@breaks("a controller hears of what is added before all stand", explored="added-meanwhile")
def count_not_told() -> None:
    put(Outstanding, "_tell", lambda self: None)


@breaks("a group is asked when the one before it stands", explored="in-order")
def all_asked_at_once() -> None:
    stop = Controller.stop

    def ask_all_first(self: Controller, freeze: Freeze, deadline: Deadline, place: Place) -> None:
        for part in freeze.parts:
            self.ask(part)
        stop(self, freeze, deadline, place)

    put(Controller, "stop", ask_all_first)


@breaks("groups are let go in reverse", explored="held-in-order")
def let_go_from_the_first() -> None:
    thaw = Controller._thaw

    def thaw_first(self: Controller, freeze: Freeze) -> bool:
        for part in freeze.before:
            self._thaw_part(part)
        return thaw(self, freeze)

    put(Controller, "_thaw", thaw_first)
