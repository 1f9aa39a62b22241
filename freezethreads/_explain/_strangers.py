"""Threads that no freeze covers, and that go on while all others stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from traceback import FrameSummary
from types import CodeType

from freezethreads._frames import current_frames
from freezethreads._looks import processor_time, stack_at
from freezethreads._original import OWN_THREADS, Thread, enumerate_threads, get_ident, sleep
from freezethreads._report import ThreadInfo

_MOMENT = 0.02  # seconds between two looks

Seen = tuple[str, int, int | None, list[FrameSummary], list[FrameSummary]]


class _Glance:
    """One stranger at one moment."""

    def __init__(self, thread: Thread) -> None:
        frame = current_frames().get(thread.ident or 0)
        self.stack = stack_at(frame)
        self.position: tuple[CodeType, int] | None = None
        if frame is not None:
            self.position = (frame.f_code, frame.f_lasti)
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
        goes_on = (first.position, first.processor) != (later.position, later.processor)
        if goes_on and thread.ident is not None and later.position is not None:
            yield thread.name, thread.ident, thread.native_id, first.stack, later.stack
