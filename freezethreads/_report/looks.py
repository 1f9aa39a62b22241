"""What a look at a thread that runs can tell: where it is, and whether it gets anywhere.

Two looks a moment apart tell a thread that moves from one that does not. One that does not is in a
call of C, or in a loop so short that every look finds it at the same instruction; which of the two,
the instruction tells. And whether that call computes or waits is told by the processor time that
it takes: the system's clock of a thread, and its word on whether the thread wants a processor.
(Whether it is one long call, or one of many that all looks have met, nothing tells.)
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Iterable, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Final, NamedTuple

from freezethreads._ground.arguments import Where
from freezethreads._ground.original import monotonic
from freezethreads._registry.record import Record
from freezethreads._registry.todos import pending_todos
from freezethreads._report.stacks import INNERMOST, JOIN, Stack, read_stacks, summary_of
from freezethreads._report.statistics import Site, site_of

# Instructions between which CPython lets other threads look: what is found at one is in no call.
_BETWEEN: Final = ("JUMP", "RESUME", "INSTRUMENTED_JUMP", "INSTRUMENTED_RESUME", "POP_JUMP")
_LITTLE: Final = 0.1  # of a processor: short waits that are made again and again take some as well


class Evidence(NamedTuple):
    """What tells why a thread does not stop, next to its stack at the deadline.

    ``later`` is its stack a moment after. ``calling`` is whether its innermost frame was in a call
    of C each time (None: only lines are known, or nothing, as where there is no GIL), and ``busy``
    whether it computed meanwhile (None: the system does not say).
    ``inside`` is "no_freeze", "todo" or "world" if it cannot be frozen for that reason, and
    ``inside_at`` where it entered that, if that is known. ``waker`` is whether it is registered
    with one. ``joins`` is the name of the thread whose end it waits for ("a thread" if only lines
    are known), and ``joins_frozen`` whether that one is known to stand frozen.

    ``target`` is the name of what the thread was started to call, if that is known.

    ``where`` is that of the freeze, and ``section``, unless it is "safepoint", what the thread is
    in that keeps it from being stopped; it entered that at ``inside_at`` then.
    """

    later: traceback.StackSummary
    calling: bool | None
    busy: bool | None
    inside: str | None
    inside_at: Site | None
    waker: bool
    joins: str | None
    joins_frozen: bool
    where: Where = "safepoint"
    section: str | None = None
    target: str | None = None


class Glance(NamedTuple):
    """One thread at one moment: its stack (None if nobody can tell), whether it is in a call of C,
    the seconds of processor it has had, and whether it wants a processor; and when that was."""

    stack: Stack | None
    calling: bool | None
    processor: float | None
    runnable: bool
    at: float


def glance_at(records: Iterable[Record]) -> dict[Record, Glance]:
    """Look at these threads now. From any thread."""
    late = list(records)
    stacks = read_stacks(record.ident for record in late)
    return {record: _glance(record, stacks.get(record.ident)) for record in late}


def _glance(record: Record, stack: Stack | None) -> Glance:
    calling = _is_calling(stack)
    return Glance(
        stack=stack,
        calling=calling,
        processor=processor_time(record.native_id),
        runnable=calling is not False and is_runnable(record.native_id),
        at=monotonic(),
    )


def evidence_of(record: Record, glances: list[Glance], members: Mapping[int, Record]) -> Evidence:
    """Put together what the looks at a thread and its record tell."""
    stack = next((glance.stack for glance in reversed(glances) if glance.stack is not None), ())
    inside, at = shelter_of(record)
    join = next((call for call in stack[:INNERMOST] if call.is_of(JOIN)), None)
    other = None if join is None or join.joins is None else members.get(join.joins)
    return Evidence(
        later=summary_of(stack),
        calling=_are_calling(glances),
        busy=_is_busy(glances),
        inside=inside,
        inside_at=at,
        waker=record.waker is not None,
        joins=None if join is None else _name_of(join.joins, other),
        joins_frozen=other is not None and other.stopped,
        target=_target_of(record.ident),
    )


def _target_of(ident: int) -> str | None:
    """The name of what that thread was started to call. None of the program's code is run."""
    thread = threading._active.get(ident)  # type: ignore[attr-defined]
    target = None if thread is None else object.__getattribute__(thread, "__dict__").get("_target")
    function = target.__func__ if isinstance(target, MethodType) else target
    if not isinstance(function, (FunctionType, BuiltinFunctionType)):
        return None
    is_method = "." in function.__qualname__
    return function.__qualname__ if is_method else f"{function.__module__}.{function.__qualname__}"


def _name_of(ident: int | None, record: Record | None) -> str:
    if record is not None:
        return record.name
    thread = threading._active.get(ident)  # type: ignore[attr-defined]
    if thread is not None:
        return str(thread.name)
    return "a thread" if ident is None else f"thread {ident}"


def moved(glances: list[Glance]) -> bool:
    """Whether not all looks found the thread at the same instruction, or line."""
    return len({_position(glance.stack) for glance in glances if glance.stack is not None}) > 1


def _position(stack: Stack) -> tuple[object, ...]:
    """Where the innermost call is. (Who waits again and again may do so for different callers.)"""
    if not stack:
        return ()
    call = stack[0]
    return (
        (call.filename, call.name, call.lineno) if call.code is None else (call.code, call.offset)
    )


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


def is_runnable(native_id: int) -> bool:
    """Whether it wants a processor, or has one. Where others keep it from one its clock stands."""
    try:
        with open(f"/proc/self/task/{native_id}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] == "R"
    except (OSError, IndexError):
        return False


def _is_calling(stack: Stack | None) -> bool | None:
    """Whether the innermost call of a stack is in C; None if nobody can tell."""
    from opcode import opname  # nobody needs it before a freeze fails

    if not stack:
        return None if stack is None else False
    code, offset = stack[0].code, stack[0].offset
    if code is None or offset is None:
        return None
    if not 0 <= offset < len(code.co_code):
        return False
    return not opname[code.co_code[offset]].startswith(_BETWEEN)


def _are_calling(glances: list[Glance]) -> bool | None:
    found = {glance.calling for glance in glances}
    return False if False in found else None if None in found else True
