"""Threads that stop, and that have waited long in one place: which may be as it should."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from freezethreads._registry.places import came_at
from freezethreads._registry.record import Record
from freezethreads._report.reports import SiteReport, WaitReport
from freezethreads._report.statistics import Site, site_of

_LONG: Final = 10.0  # seconds
_KINDS: Final = ("blocking", "wait")  # elsewhere a thread is since it was stopped, and not before


def long_waits(
    records: Iterable[Record], now: float, told: Collection[int | None]
) -> tuple[WaitReport, ...]:
    """Who has waited long by `now`, the longest first, together with the others at the same line.

    Of the idents in `told` there is more to say elsewhere. From any thread.
    """
    found: dict[Site, list[tuple[float, str]]] = {}
    for record in records:
        place = record.place
        if place is None or record.exited or record.ident in told:
            continue
        site, seconds = site_of(place), now - came_at(place)
        if site.kind in _KINDS and seconds >= _LONG:
            found.setdefault(site, []).append((seconds, record.name))
    waits = (
        WaitReport(
            site=SiteReport.of(site),
            threads=tuple(name for _, name in sorted(waiters, reverse=True)),
            seconds=max(waiters)[0],
        )
        for site, waiters in found.items()
    )
    return tuple(sorted(waits, key=lambda wait: wait.seconds, reverse=True))
