"""What an exception cuts short: handlers in which a second one does harm, and steps to be done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TypeVar

from freezethreads._controller.controller import Controller
from freezethreads._ground.original import get_ident
from freezethreads._ground.uninterruptible import covered
from freezethreads._refrigerator.blocking import Blocking
from freezethreads._refrigerator.refrigerator import (
    _closed,
    _stand,
    come_back,
    visit,
)
from freezethreads._registry.places import Place, in_refrigerator, place_of
from freezethreads._registry.record import Parking, here
from freezethreads._registry.registry import Registry
from freezethreads._registry.requests import Freeze
from freezethreads._registry.status import Stay
from freezethreads.sync._locks import Latch, Lock
from freezethreads.sync._reentrant import RLock
from stress.mutants._mutant import breaks, put, replace

T = TypeVar("T")


@breaks(
    "who gives a freeze up lets everybody go, whatever comes in the middle",
    explored="freeze-and-exceptions",
)
def gives_up_once() -> None:
    def or_give_up(self: Controller, freeze: Freeze, user: object, stop: Callable[[], T]) -> T:
        try:
            return stop()
        except BaseException as error:
            self.give_up(freeze, user, error)
            raise

    put(Controller, "or_give_up", or_give_up)


@breaks("no number of exceptions lets a thread out", explored="park-and-exceptions")
def comes_back_at_the_second() -> None:
    def come_back_once(parking: Parking, place: Place, doors: Iterable[Registry]) -> None:
        shut = parking.shut
        stay = Stay(in_refrigerator(place), _closed(parking))
        try:
            parking.shut = shut + 1
            _stand(parking, stay, doors, None)
            parking.shut = shut
        except BaseException as error:
            try:
                _stand(parking, stay, doors, error)
            finally:
                parking.shut = shut
            raise

    replace(come_back, come_back_once)


@breaks("an exception does not keep a turn from being passed on", explored="turn-and-exception")
def turn_lost_by_an_exception() -> None:
    def stand(
        parking: Parking, stay: Stay, doors: Iterable[Registry], kept: BaseException | None
    ) -> None:
        """Begun again as if nothing had come before."""
        original(parking, stay, doors, None)

    original = _stand
    replace(_stand, stand)


@breaks(
    "who handles an exception clears `away` and comes back, and calls nothing before",
    explored="region-and-exceptions",
)
def looks_where_it_is_before() -> None:
    @covered
    def leave(self: Blocking, *exc_info: object) -> None:
        try:
            record = self._registry.own.record
            if record is None or record.depth != 1 or record.shut or record.parking.shut:
                self._leave_nested(record, sys._getframe(1))
                return
            record.depth = 0
            place = record.away
            record.away = None
            if place is not None and record.is_asked:
                visit(self._registry, record, place)
        except BaseException:
            record = self._registry.own.record
            if record is not None:
                place = _place_here()
                record.depth = 0
                record.away = None
                come_back(record.parking, place, (self._registry,))
            raise

    put(Blocking, "__exit__", leave)


def _place_here() -> Place:
    return place_of(sys._getframe(1), "blocking", None)


@breaks("who does not get a latch opens its doors again", explored="wait-and-exceptions")
def latch_given_back_once() -> None:
    def acquire(self: Latch, blocking: bool = True, timeout: float = -1) -> bool:
        shut = here.parking.shut
        try:
            here.parking.shut = shut + 1
            if Lock.acquire(self, blocking, timeout):
                return True
            here.parking.shut = shut
            return False
        except BaseException:
            self._give_back(shut)
            raise

    put(Latch, "acquire", acquire)
    put(Latch, "__enter__", acquire)


@breaks("who is interrupted does not keep a lock", explored="lock-and-exceptions")
def lock_given_back_once() -> None:
    def acquire(self: Lock) -> bool:
        me = get_ident()
        try:
            return self._try(0, me) is me or self._acquire_slow(me, -1)
        except BaseException:
            if self._waiters.get(0) is me:
                self.release()
            raise

    put(Lock, "__enter__", acquire)


@breaks("who is interrupted does not keep a re-entrant lock", explored="rlock-and-exceptions")
def rlock_given_back_once() -> None:
    def acquire(self: RLock) -> bool:
        before = self._raw._recursion_count()
        try:
            return self._try(False) or self._acquire_slow(-1)
        except BaseException:
            if self._raw._recursion_count() > before:
                self.release()
            raise

    put(RLock, "__enter__", acquire)
