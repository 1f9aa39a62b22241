"""Threads that no freeze covers, and that go on while all others stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from traceback import FrameSummary
from typing import NamedTuple

from freezethreads._ground.original import OwnThread, Thread, enumerate_threads, get_ident, sleep
from freezethreads._report.looks import processor_time
from freezethreads._report.stacks import Stack, read_stacks, summary_of
from freezethreads._report.stragglers import ThreadInfo

_MOMENT = 0.02  # seconds between two looks

Seen = tuple[str, int, int | None, list[FrameSummary], list[FrameSummary]]


class _Glance(NamedTuple):
    """One stranger at one moment; its stack is None if nobody can tell."""

    stack: Stack | None
    processor: float | None


def _glance_at(strangers: Sequence[Thread]) -> list[_Glance]:
    stacks = read_stacks(thread.ident or 0 for thread in strangers)
    return [
        _Glance(stacks.get(thread.ident or 0), processor_time(thread.native_id or 0))
        for thread in strangers
    ]


def look_at_strangers(stopped: Iterable[ThreadInfo], controllers: set[int]) -> Iterator[Seen]:
    """Who is not among `stopped`, nor this library's, and moves: its name, identifiers, two stacks.

    `controllers` are those who have stopped others, and are to move. Takes 20 ms. One that merely
    waits is not worth a warning: whoever it waits for may be stopped.
    """
    covered = {info.ident for info in stopped} | controllers | {get_ident(), None}
    strangers = [
        thread
        for thread in enumerate_threads()
        if thread.ident not in covered and not isinstance(thread, OwnThread)
    ]
    if not strangers:
        return
    before = _glance_at(strangers)
    sleep(_MOMENT)
    for thread, first, later in zip(strangers, before, _glance_at(strangers), strict=True):
        if first != later and later.stack != () and thread.ident is not None:
            stacks = summary_of(first.stack or ()), summary_of(later.stack or ())
            yield thread.name, thread.ident, thread.native_id, *stacks
