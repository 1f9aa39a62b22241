"""`no_freeze()`: the region in which all doors to the refrigerator are shut."""

from __future__ import annotations

import sys

from freezethreads._errors import FreezeError
from freezethreads._refrigerator import come_back, go_away, place_of
from freezethreads._registry import Registry


class NoFreeze:
    """A region that keeps the refrigerator shut: `with freezer.no_freeze():`. May be nested."""

    __slots__ = ("_registry",)

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __enter__(self) -> None:
        record = self._registry.own.record
        if record is None:
            return
        if not record.shut:
            record.shut_at = place_of(sys._getframe(1), "safepoint", "no_freeze")
        if record.depth and not record.shut:
            record.region = place = record.place or place_of(sys._getframe(1), "blocking", None)
            come_back(self._registry, record, place)
        record.shut += 1

    def __exit__(self, *exc_info: object) -> None:
        record = self._registry.own.record
        if record is None:
            return
        if not record.shut:
            raise FreezeError("this thread has not entered no_freeze() since it registered")
        record.shut -= 1
        if not record.shut:
            record.shut_at = None
        if record.depth and not record.shut:
            place = record.region or place_of(sys._getframe(1), "blocking", None)
            go_away(self._registry, record, place)
