"""`pending()`: the region in which a thread has something of some kind unfinished.

It is `no_freeze()` for the freezes that are to find that kind settled, and nothing for others. What
the thread is in is one tuple, `Parking.unfinished`. It grows while the thread runs: inside a
blocking region the thread leaves that first, and stops if it is asked to, since a freeze may have
counted it there. It shrinks at any time, and those are told who have waited for that.
"""

from __future__ import annotations

import sys
from typing import ClassVar

from freezethreads._ground.errors import FreezeError
from freezethreads._ground.original import get_ident
from freezethreads._ground.uninterruptible import covered, need_depth
from freezethreads._refrigerator.refrigerator import come_back, go_away
from freezethreads._refrigerator.unentered import Made
from freezethreads._registry.places import Place, place_of
from freezethreads._registry.record import here
from freezethreads._registry.registry import Registry
from freezethreads._registry.unfinished import Unfinished, strangers, with_all_above


class PendingRegion:
    """A region in which something is unfinished: ``with freezer.pending("tx"):``. May be nested."""

    __slots__ = ("_kinds", "_registry")

    _frames: ClassVar = 1  # how far out the program is that enters it

    def __init__(self, registry: Registry, kind: str) -> None:
        self._registry = registry
        self._kinds = with_all_above(kind)

    def __enter__(self) -> None:
        parking, record = here.parking, self._registry.own.record
        before = parking.unfinished
        region = None if record is None else record.away
        place = place_of(sys._getframe(self._frames), "safepoint", self._kinds[-1])
        try:
            if record is None:
                strangers[get_ident()] = parking
            elif region is not None:
                need_depth()  # to wait, and to go back into the region
                record.away = None
                come_back(parking, region, (self._registry,))
            self._change((*before, Unfinished(self._registry, self._kinds, place)), region)
        except BaseException:
            self._change(before, region)
            raise

    @covered
    def __exit__(self, *exc_info: object) -> None:
        try:
            self._leave()
        except BaseException:
            if self._find() >= 0:  # else there was nothing to leave; leaving is its last step
                self._leave()
            raise

    def _leave(self) -> None:
        at = self._find()
        if at < 0:
            raise FreezeError(f"this thread has not entered pending({self._kinds[-1]!r})")
        unfinished, record = here.parking.unfinished, self._registry.own.record
        left = (*unfinished[:at], *unfinished[at + 1 :])
        self._change(left, None if record is None else record.away)

    def _find(self) -> int:
        """Where the innermost one stands that this has entered, or -1."""
        unfinished = here.parking.unfinished
        for at in range(len(unfinished) - 1, -1, -1):
            one = unfinished[at]
            if one.registry is self._registry and one.kinds == self._kinds:
                return at
        return -1

    def _change(self, unfinished: tuple[Unfinished, ...], region: Place | None) -> None:
        """Have that unfinished from the last step on, and be in the region that was left for it,
        if there was one. By its thread; may be repeated."""
        record = self._registry.own.record
        if record is not None and region is not None:
            go_away(self._registry, record, region, unfinished)
        if not unfinished:
            strangers.pop(get_ident(), None)
        here.parking.unfinished = unfinished


class WatchedPendingRegion(PendingRegion):
    """One in debug or development mode: it tells if it was never entered."""

    __slots__ = ("_made",)

    _frames: ClassVar = 2

    def __init__(self, registry: Registry, kind: str) -> None:
        super().__init__(registry, kind)
        self._made = Made(registry, f"pending({kind!r})", "marks nothing as pending")

    def __enter__(self) -> None:
        self._made.entered()
        super().__enter__()
