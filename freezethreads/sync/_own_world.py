"""A controller that waits for a lock whose owner it has itself frozen: it would do so for ever.

It is told at once, before it has taken anything, if that is certain:

* Nothing else ends the wait: it has no time-out. (What acquires a lock again after a wait of a
  condition has one, if only of three hundred years: it must not end without the lock.)
* Nothing else ends the world: it stands, it is the calling thread's own, and it has no lease. A
  hold is for others to thaw, and does not count.
* The owner stands in it, and makes no call for it.

Who has another thread thaw its world, or release its lock, while it waits for that gives the wait a
time-out. Whoever looks does so once, when the lock could not be had: nobody who stands comes to own
one later.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from freezethreads._ground.errors import FreezeError
from freezethreads._ground.original import get_ident, get_native_id
from freezethreads._machine.stacks import acquired_by, programs_place
from freezethreads._registry.record import Record
from freezethreads._registry.registry import armed
from freezethreads._registry.requests import Freeze
from freezethreads._report.ownership import acquired_at, where
from freezethreads._report.statistics import site_of


def refuse_for_ever(lock: Any) -> None:
    """Raise `FreezeError` if the calling thread would wait for ever for that lock of ours, since
    its owner stands in a world of its own.

    For a wait without a time-out. It costs nothing to speak of while nobody freezes.
    """
    for freeze in _own_worlds() if armed else ():
        owner = _who_stands(freeze, lock.owner)
        if owner is not None:
            raise FreezeError(_reason(freeze, lock, owner))


def _own_worlds() -> Iterator[Freeze]:
    """Those that nothing ends but their thaw."""
    for registry in list(armed):
        for freeze in list(registry.active):
            asked = freeze.asked
            is_own = asked.ident == get_ident() and asked.native_id == get_native_id()
            if is_own and asked.kind == "freeze" and freeze.stands and not freeze.leases:
                yield freeze


def _who_stands(freeze: Freeze, ident: int | None) -> Record | None:
    """The record of the thread with that ident, if it runs nothing before the thaw."""
    for record in list(freeze.members):
        if record.ident == ident and not record.exited:
            runs = record in freeze.newcomers and not record.stopped
            return None if runs or record.parking.word.value.calling else record
    return None


def _reason(freeze: Freeze, lock: Any, owner: Record) -> str:
    acquired, place = acquired_at(lock) or acquired_by(owner.ident, lock), owner.place
    since = "" if acquired is None else f", acquired at {where(acquired)}"
    at = "" if place is None else f" at its {site_of(place)}"
    return (
        f"{owner.name} owns {lock!r}{since}, and stands{at} in {freeze!r}; the controller of that "
        f"would wait for the lock for ever at {where(programs_place(sys._getframe(1)))}. It was "
        "not acquired. Acquire it before the freeze, or release it before the safepoint, blocking "
        "region or wait where its owner stopped; a time-out of the wait, or a lease of the world, "
        "ends it as well"
    )
