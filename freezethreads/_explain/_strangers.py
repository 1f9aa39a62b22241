"""Threads that no freeze covers, and that go on while all others stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from traceback import FrameSummary
from typing import NamedTuple

from freezethreads._ground.original import Thread, get_ident, sleep
from freezethreads._report.looks import processor_time
from freezethreads._report.stacks import Stack, read_stacks, summary_of
from freezethreads._report.stragglers import ThreadInfo, other_threads

_MOMENT = 0.02  # seconds between two looks

Seen = tuple[Thread, bool, list[FrameSummary], list[FrameSummary]]


class _Glance(NamedTuple):
    """One stranger at one moment; its stack is None if nobody can tell."""

    stack: Stack | None
    processor: float | None


def _glance_at(strangers: Sequence[Thread]) -> list[_Glance]:
    stacks = read_stacks(thread.ident or 0 for thread in strangers)
    return [
        _Glance(
            stacks.get(thread.ident or 0),
            None if thread.native_id is None else processor_time(thread.native_id),
        )
        for thread in strangers
    ]


def strangers_to(stopped: Iterable[ThreadInfo], controllers: set[int]) -> tuple[Thread, ...]:
    """Who is not among `stopped`, nor this library's. `controllers` are those who have stopped
    others, and are to move."""
    return other_threads({info.ident for info in stopped} | controllers | {get_ident()})


def look_at_strangers(strangers: Sequence[Thread]) -> Iterator[Seen]:
    """Those of them that move, for all that can be told: the thread, whether it is seen to move,
    and two stacks.

    Takes 20 ms. One that merely waits is not worth a warning: whoever it waits for may be stopped.
    That is not known of one without a number of the system's, by which alone it is told who has had
    a processor.
    """
    if not strangers:
        return
    before = _glance_at(strangers)
    sleep(_MOMENT)
    for thread, first, later in zip(strangers, before, _glance_at(strangers), strict=True):
        moves = first != later
        if (moves or thread.native_id is None) and later.stack != ():
            yield thread, moves, summary_of(first.stack or ()), summary_of(later.stack or ())
