"""Threads that stop, and that have waited long in one place: which may be as it should.

Since when a thread waits is known of `freezethreads.sync`, `install()` and `blocking()`. A freeze
between two bytecodes also stops threads whose waits are plain calls of C. Of these two looks tell
who has not gone on in between: it is at the same line, and has had nothing of a processor.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from freezethreads._ground.original import enumerate_threads, monotonic, sleep
from freezethreads._registry.places import came_at, kind_of
from freezethreads._registry.record import Record
from freezethreads._registry.requests import Freeze
from freezethreads._report.looks import processor_time
from freezethreads._report.reports import SiteReport, WaitReport
from freezethreads._report.stacks import nearest, read_stacks
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


_BETWEEN: Final = 1.0  # seconds between two looks at waits of which nobody knows since when


class _Stay(NamedTuple):
    """Where one thread is in the code nearest to the reader, and what it has had of a processor
    (None: nobody can tell)."""

    filename: str
    lineno: int
    function: str
    processor: float | None


class Stays:
    """A first look at all threads. From any thread."""

    def __init__(self) -> None:
        self._at = monotonic()
        self._seen = _look()

    def unknown_waits(
        self, called: Mapping[int, str], told: Collection[int | None]
    ) -> tuple[WaitReport, ...]:
        """Those of `called`, by ident and name, that have not gone on until a second look, which
        comes a second after the first. Of the idents in `told` there is more to say elsewhere."""
        waiting = {ident: name for ident, name in called.items() if ident not in told}
        if not waiting:
            return ()
        sleep(max(0.0, _BETWEEN - (monotonic() - self._at)))
        later, passed = _look(), monotonic() - self._at
        found: dict[_Stay, list[str]] = {}
        for ident, name in waiting.items():
            stay = later.get(ident)
            if stay is not None and stay == self._seen.get(ident):
                found.setdefault(stay._replace(processor=None), []).append(name)
        return tuple(
            WaitReport(
                site=SiteReport("call", None, at.filename, at.lineno, at.function),
                threads=tuple(sorted(names)),
                seconds=passed,
            )
            for at, names in found.items()
        )


def _look() -> dict[int, _Stay]:
    native_ids = {thread.ident: thread.native_id for thread in enumerate_threads()}
    stays = {}
    for ident, stack in read_stacks().items():
        line, native_id = nearest(reversed(stack)), native_ids.get(ident)
        if line is not None:
            processor = None if native_id is None else processor_time(native_id)
            stays[ident] = _Stay(line.filename, line.lineno, line.function, processor)
    return stays


def called_by(freeze: Freeze) -> dict[int, str]:
    """Whom a freeze between two bytecodes has met in a call of C, by ident and name. While it
    stands."""
    if freeze.bar is None:
        return {}
    stopped = freeze.bar.stopped
    return {
        record.ident: record.name
        for record in list(freeze.members)
        if record.ident in stopped and kind_of(stopped[record.ident]) == "call"
    }
