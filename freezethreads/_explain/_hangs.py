"""Threads that can all be stopped, and that hang: each waits for a lock that another one keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from traceback import FrameSummary
from typing import NamedTuple

from freezethreads._explain._sentences import by_debug_mode
from freezethreads._explain._text import duration
from freezethreads._ground.original import enumerate_threads
from freezethreads._registry.places import came_at
from freezethreads._registry.record import Record
from freezethreads._registry.requests import Freeze
from freezethreads._report.ownership import ITSELF, acquired_at, awaited_by, where
from freezethreads._report.stacks import stack_of
from freezethreads._report.statistics import site_of

_LONG = 1.0  # seconds: who waits for less may only have come a moment ago


class Hang(NamedTuple):
    """A thread that waits for a lock, and what there is to say of it."""

    name: str
    ident: int
    native_id: int | None
    group: str | None
    why: str
    advice: str
    stack: list[FrameSummary]


def look_at_hangs(
    records: Iterable[Record], freezes: Iterable[Freeze], now: float
) -> Iterator[Hang]:
    """Who has waited long by `now` for a lock that somebody has, while all of `records` stand.

    Or afterwards, if they did not all: then `now` is when they were asked to, since who has a lock
    may have stood with it for that freeze.
    `freezes` are what stands besides. As long as there is one, whoever has a lock may be stopped
    by it.
    """
    known = {record.ident: record for record in records if not record.exited}
    if not list(freezes):
        yield from filter(None, (_of(record, known, now) for record in known.values()))


def _of(record: Record, known: Mapping[int, Record], now: float) -> Hang | None:
    lock, place = awaited_by(record.ident), record.place
    waited = 0.0 if place is None else now - came_at(place)
    owner = None if lock is None else lock.owner
    if owner is None or waited < _LONG:
        return None
    return Hang(
        record.name,
        record.ident,
        record.native_id,
        record.group,
        f"{record.name} stops when it is asked to, but has waited {duration(waited)} for "
        f"{_name_of(lock)}, held by {_who(owner, record, known)}.",
        "If it never gets the lock, have its owner release it"
        f"{by_debug_mode('tells where it was acquired')}.",
        list(stack_of(record.ident)),
    )


def _who(ident: int, waiter: Record, known: Mapping[int, Record]) -> str:
    """Who has the lock, and where that thread stands."""
    if ident == waiter.ident:
        return ITSELF
    owner = known.get(ident)
    if owner is not None:
        place = owner.place
        return owner.name if place is None else f"{owner.name} at its {site_of(place)}"
    names = (thread.name for thread in enumerate_threads() if thread.ident == ident)
    return next(names, "a thread that has ended")


def _name_of(lock: object) -> str:
    place = acquired_at(lock)
    return repr(lock) if place is None else f"{lock!r}, acquired at {where(place)}"
