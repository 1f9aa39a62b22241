"""A controller that waits for a lock whose owner it has itself frozen, for the end of a thread that
it has, or for a job of a pool of which it has frozen all workers: it would do so for ever.

It is told at once, before it has taken anything, if that is certain:

* Nothing else ends the wait: it has no time-out. (What acquires a lock again after a wait of a
  condition has one, if only of three hundred years: it must not end without the lock.)
* Nothing else ends the world: it stands, it is the calling thread's own, and it has no lease. A
  hold is for others to thaw, and does not count.
* The owner stands in it, and makes no call for it.

Who has another thread thaw its world, release its lock, or cancel its job, while it waits for that
gives the wait a time-out. Whoever looks for a lock does so once, when it could not be had: nobody
who stands comes to own one later. A thread that has just been started has yet to register, and to
stand: so whoever waits for one looks again for a second.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from freezethreads._ground.errors import FreezeError
from freezethreads._ground.original import Thread, get_ident, get_native_id, monotonic
from freezethreads._machine.stacks import acquired_by, programs_place
from freezethreads._registry.record import Record
from freezethreads._registry.registry import armed
from freezethreads._registry.requests import Freeze
from freezethreads._report.ownership import acquired_at, where
from freezethreads._report.statistics import site_of

_ARRIVING: Final = 1.0  # seconds in which a thread that was just started stands, if it is going to
_LOOK: Final = 0.01  # seconds between two looks


def refuse_for_ever(lock: Any) -> None:
    """Raise `FreezeError` if the calling thread would wait for ever for that lock of ours, since
    its owner stands in a world of its own.

    For a wait without a time-out. It costs nothing to speak of while nobody freezes.
    """
    for freeze in _own_worlds() if armed.registries else ():
        owner = _who_stands(freeze, lock.owner)
        if owner is not None:
            raise FreezeError(_reason(freeze, lock, owner))


def wait_unless_for_ever(
    needed: Callable[[], Iterable[Thread]], wait: Callable[[float], bool], what: str
) -> bool:
    """Whether the calling thread, before a wait without a time-out, has seen the end of that wait.

    `needed` are threads of which one has to go on for it, `what` says what it is for, and `wait`
    waits for so many seconds at most, and returns whether it is over. Raises `FreezeError` if all
    of `needed` stand in a world of the calling thread's own. It costs nothing to speak of where
    that has none: then it returns False at once.
    """
    if not (armed.registries and any(True for _ in _own_worlds())):
        return False
    began = monotonic()
    while monotonic() - began < _ARRIVING:
        worlds = list(_own_worlds())
        living = [thread for thread in needed() if thread.is_alive()]
        found = [_held_by(worlds, thread) for thread in living]
        standing = [one for one in found if one is not None]
        if not living:
            break
        if len(standing) == len(living):
            raise FreezeError(_no_end(*standing[0], len(standing), what))
        if wait(_LOOK):
            return True
    return False


def _held_by(worlds: Iterable[Freeze], thread: Thread) -> tuple[Freeze, Record] | None:
    """The first of these in which that thread stands, and as what."""
    found = ((freeze, _who_stands(freeze, thread.ident)) for freeze in worlds)
    return next(((freeze, record) for freeze, record in found if record is not None), None)


def _no_end(freeze: Freeze, record: Record, count: int, what: str) -> str:
    at = "" if record.place is None else f" at its {site_of(record.place)}"
    who = record.name if count == 1 else f"{record.name} (and {count - 1} more)"
    return (
        f"{who} stands{at} in {freeze!r}; the controller of that would wait for {what} for ever at "
        f"{where(programs_place(sys._getframe(1)))}. Wait for it before the freeze, or after the "
        "thaw; a time-out of the wait, or a lease of the world, ends it as well"
    )


def _own_worlds() -> Iterator[Freeze]:
    """Those that nothing ends but their thaw."""
    for registry in list(armed.registries):
        for freeze in registry.freezes():
            asked = freeze.asked
            is_own = asked.ident == get_ident() and asked.native_id == get_native_id()
            if is_own and asked.kind == "freeze" and freeze.stands and not freeze.leases:
                yield freeze


def _who_stands(freeze: Freeze, ident: int | None) -> Record | None:
    """The record of the thread with that ident, if it runs nothing before the thaw."""
    for record in freeze.all_members():
        if record.ident == ident and not record.exited:
            runs = record in freeze.part_with(record).newcomers and not record.stopped
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
