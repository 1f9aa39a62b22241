"""Threads that no freeze covers, and that go on while all others stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from traceback import FrameSummary

from freezethreads._looks import processor_time
from freezethreads._original import OWN_THREADS, Thread, enumerate_threads, get_ident, sleep
from freezethreads._report import ThreadInfo
from freezethreads._stacks import read_stacks, summary_of

_MOMENT = 0.02  # seconds between two looks

Seen = tuple[str, int, int | None, list[FrameSummary], list[FrameSummary]]


class _Glance:
    """One stranger at one moment."""

    def __init__(self, thread: Thread) -> None:
        ident = thread.ident or 0
        self.stack = read_stacks([ident]).get(ident, ())
        self.processor = processor_time(thread.native_id or 0)


def look_at_strangers(stopped: Iterable[ThreadInfo], controllers: set[int]) -> Iterator[Seen]:
    """Who is not among `stopped`, nor this library's, and moves: its name, identifiers, two stacks.

    `controllers` are those who have stopped others, and are to move. Takes 20 ms. One that merely
    waits is not worth a warning: whoever it waits for may be stopped.
    """
    covered = {info.ident for info in stopped} | controllers | {get_ident(), None}
    strangers = [
        thread
        for thread in enumerate_threads()
        if thread.ident not in covered and not thread.name.startswith(OWN_THREADS)
    ]
    before = [_Glance(thread) for thread in strangers]
    if strangers:
        sleep(_MOMENT)
    for thread, first in zip(strangers, before, strict=True):
        later = _Glance(thread)
        goes_on = (first.stack, first.processor) != (later.stack, later.processor)
        if goes_on and thread.ident is not None and later.stack:
            stacks = summary_of(first.stack), summary_of(later.stack)
            yield thread.name, thread.ident, thread.native_id, *stacks
