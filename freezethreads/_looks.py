"""What a look at a thread that runs can tell: where it is, and whether it gets anywhere.

Two looks a moment apart tell a thread that moves from one that does not. One that does not is in a
call of C, or in a loop so short that every look finds it at the same instruction; which of the two,
the instruction tells. And whether that call computes or waits is told by the processor time that
it takes: the system's clock of a thread, and its word on whether the thread wants a processor.
(Whether it is one long call, or one of many that all looks have met, nothing tells.)
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import CodeType, FrameType
from typing import Final, NamedTuple

from freezethreads._frames import current_frames
from freezethreads._original import Thread, monotonic
from freezethreads._record import Record
from freezethreads._statistics import Site, site_of
from freezethreads._todo import pending_todos

# Instructions between which CPython lets other threads look: what is found at one is in no call.
_BETWEEN: Final = ("JUMP", "RESUME", "INSTRUMENTED_JUMP", "INSTRUMENTED_RESUME", "POP_JUMP")
_JOIN: Final = Thread.join.__code__
_LITTLE: Final = 0.1  # of a processor: short waits that are made again and again take some as well


class Evidence(NamedTuple):
    """What tells why a thread does not stop, next to its stack at the deadline.

    ``later`` is its stack a moment after. ``calling`` is whether its innermost frame was in a call
    of C both times, and ``busy`` whether it computed meanwhile (None: the system does not say).
    ``inside`` is "no_freeze", "todo" or "world" if it cannot be frozen for that reason, and
    ``inside_at`` where it entered that, if that is known. ``waker`` is whether it is registered
    with one. ``joins`` is the name of the thread whose end it waits for, and ``joins_frozen``
    whether that one stands frozen.
    """

    later: traceback.StackSummary
    calling: bool
    busy: bool | None
    inside: str | None
    inside_at: Site | None
    waker: bool
    joins: str | None
    joins_frozen: bool


class Glance(NamedTuple):
    """One thread at one moment: its position, its stack, the seconds of processor it has had, and
    whether it wants a processor; and when that was."""

    position: tuple[CodeType, int] | None
    stack: traceback.StackSummary
    calling: bool
    joins: int | None
    processor: float | None
    runnable: bool
    at: float


def glance_at(records: Iterable[Record]) -> dict[Record, Glance]:
    """Look at these threads now. From any thread."""
    frames = current_frames()
    try:
        return {record: _glance(record, frames.get(record.ident)) for record in records}
    finally:
        del frames  # the caller's own frame is in there


def _glance(record: Record, frame: FrameType | None) -> Glance:
    position = next(((code, each.f_lasti) for each, code in outwards(frame)), None)
    calling = position is not None and _is_calling(*position)
    return Glance(
        position=position,
        stack=stack_at(frame),
        calling=calling,
        joins=_joined_by(frame),
        processor=processor_time(record.native_id),
        runnable=calling and _is_runnable(record.native_id),
        at=monotonic(),
    )


def evidence_of(record: Record, glances: list[Glance], members: Mapping[int, Record]) -> Evidence:
    """Put together what the looks at a thread and its record tell."""
    last = glances[-1]
    inside, at = shelter_of(record)
    other = None if last.joins is None else members.get(last.joins)
    return Evidence(
        later=last.stack,
        calling=all(glance.calling for glance in glances),
        busy=_is_busy(glances),
        inside=inside,
        inside_at=at,
        waker=record.waker is not None,
        joins=None if last.joins is None else _name_of(last.joins, other),
        joins_frozen=other is not None and other.stopped,
    )


def _name_of(ident: int, record: Record | None) -> str:
    return f"thread {ident}" if record is None else record.name


def moved(glances: list[Glance]) -> bool:
    """Whether not all looks found the thread at the same instruction."""
    return len({glance.position for glance in glances}) > 1


def shelter_of(record: Record) -> tuple[str | None, Site | None]:
    """What keeps a thread that runs from being frozen: "no_freeze", "todo", "world" or None; and
    where it entered that, if that is known. From any thread."""
    place = record.shut_at
    if record.commands:
        return "world", None
    if any(todo.is_begun() for todo in pending_todos(record.todo)):
        return "todo", None
    # Without a place the library itself has shut its doors, for a moment.
    return (None, None) if place is None else ("no_freeze", site_of(place))


def _is_busy(glances: list[Glance]) -> bool | None:
    first, last = glances[0], glances[-1]
    if first.processor is None or last.processor is None:
        return None
    took = last.processor - first.processor
    return took > _LITTLE * (last.at - first.at) or all(glance.runnable for glance in glances)


def processor_time(native_id: int) -> float | None:
    """Seconds of processor time of a thread of this process; None if the system does not say."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        # Linux makes the number of a thread's clock of the thread's own: MAKE_THREAD_CPUCLOCK.
        # (time.pthread_getcpuclockid() crashes if the thread has ended meanwhile.)
        return time.clock_gettime((~native_id << 3) | 6)
    except OSError:
        return None


def _is_runnable(native_id: int) -> bool:
    """Whether it wants a processor, or has one. Where others keep it from one its clock stands."""
    try:
        with open(f"/proc/self/task/{native_id}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] == "R"
    except (OSError, IndexError):
        return False


def _is_calling(code: CodeType, offset: int) -> bool:
    """Whether a frame whose last instruction is this one, and that is innermost, is in C."""
    from opcode import opname  # nobody needs it before a freeze fails

    if not 0 <= offset < len(code.co_code):
        return False
    return not opname[code.co_code[offset]].startswith(_BETWEEN)


def _joined_by(frame: FrameType | None) -> int | None:
    """The ident of the thread for whose end the owner of `frame` waits."""
    for each, code in islice(outwards(frame), 4):
        if code is _JOIN:
            ident: int | None = getattr(each.f_locals.get("self"), "ident", None)
            return ident
    return None


def stack_of(ident: int) -> traceback.StackSummary:
    """The stack of a thread, in a form that pickles; empty if there is no such thread."""
    # The frame is in no variable: that could be in this very stack.
    return with_source(stack_at(current_frames().get(ident)))


def with_source(stack: traceback.StackSummary) -> traceback.StackSummary:
    """Read the lines of source now, and not when somebody asks for them, perhaps elsewhere."""
    for entry in stack:
        entry.line  # noqa: B018 - a property, which remembers
    return stack


def stack_at(frame: FrameType | None) -> traceback.StackSummary:
    """The stack whose innermost frame this is: the innermost last, with columns, no source yet."""
    return _summary([_entry(each, code) for each, code in outwards(frame)][::-1])


def _summary(entries: list[traceback.FrameSummary]) -> traceback.StackSummary:
    return traceback.StackSummary.from_list(entries)


def outwards(frame: FrameType | None) -> Iterator[tuple[FrameType, CodeType]]:
    """The frames from this one on outwards, with their codes.

    A free-threaded CPython 3.13 has been seen to have a function for the code of a frame that its
    thread was leaving; nothing can be told from there on.
    """
    while frame is not None:
        code: object = frame.f_code
        if not isinstance(code, CodeType):
            return
        yield frame, code
        frame = frame.f_back


def _entry(frame: FrameType, code: CodeType) -> traceback.FrameSummary:
    offset = frame.f_lasti
    positions = next(islice(code.co_positions(), max(offset, 0) // 2, None), None)
    line, end_line, column, end_column = positions or (None, None, None, None)
    return traceback.FrameSummary(
        code.co_filename,
        line or frame.f_lineno or 0,
        code.co_name,
        lookup_line=False,
        end_lineno=end_line,
        colno=column,
        end_colno=end_column,
    )
