"""`no_freeze()`: the region in which all doors to the refrigerator are shut."""

from __future__ import annotations

import sys
from typing import ClassVar

from freezethreads._ground.errors import FreezeError
from freezethreads._ground.uninterruptible import covered, need_depth
from freezethreads._refrigerator.refrigerator import come_back, go_away
from freezethreads._refrigerator.unentered import Made
from freezethreads._registry.places import place_of
from freezethreads._registry.record import Record
from freezethreads._registry.registry import Registry


class NoFreeze:
    """A region that keeps the refrigerator shut: `with freezer.no_freeze():`. May be nested."""

    __slots__ = ("_registry",)

    _frames: ClassVar = 1  # how far out the program is that enters it

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    @covered
    def __enter__(self) -> None:
        try:
            record = self._registry.own.record
            if record is None:
                return
            if not record.shut:
                frame = sys._getframe(self._frames)
                record.shut_at = place_of(frame, "safepoint", "no_freeze")
                if record.away is not None:
                    need_depth()  # to wait, and to go back into the region
                    record.region = place = record.away
                    record.away = None
                    come_back(record.parking, place, (self._registry,))
            record.shut += 1
        except BaseException:
            record = self._registry.own.record
            if record is not None and not record.shut:
                record.shut_at = None
                self._go_away_again(record)
            raise

    @covered
    def __exit__(self, *exc_info: object) -> None:
        try:
            record = self._registry.own.record
            if record is None:
                return
            if not record.shut:
                raise FreezeError("this thread has not entered no_freeze() since it registered")
            if record.shut == 1:
                record.shut_at = None
                self._go_away_again(record)
            record.shut -= 1
        except BaseException:
            # The last step of the `try` was not taken, or there was nothing to do.
            record = self._registry.own.record
            if record is not None and record.shut:
                record.shut -= 1
                if not record.shut:
                    record.shut_at = None
                    self._go_away_again(record)
            raise

    def _go_away_again(self, record: Record) -> None:
        """Be in the region again that was suspended, if there was one. May be repeated."""
        if record.depth and record.away is None:
            place = record.region or place_of(sys._getframe(2), "blocking", None)
            go_away(self._registry, record, place)


class WatchedNoFreeze(NoFreeze):
    """One in debug or development mode: it tells if it was never entered."""

    __slots__ = ("_made",)

    _frames: ClassVar = 2

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self._made = Made(registry, "no_freeze()", "keeps nobody going")

    def __enter__(self) -> None:
        self._made.entered()
        super().__enter__()
