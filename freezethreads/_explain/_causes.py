"""Why a thread does not stop: the causes, and which of them the evidence about it shows."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import _base as futures
from concurrent.futures import thread as thread_pools
from enum import Enum
from traceback import FrameSummary

from freezethreads._explain._rewrite import Line
from freezethreads._explain._source import TAKERS, call_of, has_call, is_with
from freezethreads._ground.files import remoteness
from freezethreads._registry.states import State
from freezethreads._report.looks import Evidence
from freezethreads._report.stacks import nearest
from freezethreads._report.stragglers import Straggler

_STANDARD = os.path.dirname(threading.__file__) + os.sep
_TAKERS = (queue.__file__, threading.__file__, f"{_STANDARD}multiprocessing{os.sep}")
_FUTURES = futures.__file__
_ASYNCIO = f"{_STANDARD}asyncio{os.sep}"


class Cause(Enum):
    """Why a thread has not stopped. The values are fixed words, for programs to compare with."""

    COMPUTING = "computing"  # in Python, and passes no safepoint
    C_CALL = "c-call"  # computes in one call of C
    WAITING = "waiting"  # in a call that waits and is in no blocking region
    LOCK = "lock"  # for a lock of freezethreads.sync that another thread owns; also a warning
    DEADLOCK = "deadlock"  # it waits for a thread that waits for it; whether it stops or not
    ENDED = "ended"  # an exception has ended it, some time ago
    JOIN = "join"  # for the end of a thread
    NO_FREEZE = "no_freeze"
    TODO = "todo"
    WORLD = "world"  # it has a world itself, or waits for one
    WAKER = "waker"  # its waker was called, and has not woken it
    OUTSIDE = "outside"  # it has no Python frame
    SECTION = "section"  # in a section, where a freeze between two bytecodes stops nobody
    SLOW = "slow"  # it stopped just after the deadline
    CONTROLLER = "controller"  # no thread is late: another controller had the turn
    SILENT = "silent"  # the process does not answer: a call of C has its interpreter
    UNSERVED = "unserved"  # the process does not serve: nobody was stopped, and it is seen outside
    UNREGISTERED = "unregistered"  # a warning: it runs on, and no freeze waits for it
    MARK = "mark"  # a warning: what is marked as atomic or freezable by its name is not there


def cause_of(straggler: Straggler, evidence: Evidence) -> Cause:
    """The first cause that the evidence shows: what keeps it from stopping goes before what it does
    meanwhile."""
    if evidence.section is not None and evidence.inside is None:
        return Cause.SECTION
    if straggler.state is not State.RUNNING and evidence.inside != "world":
        return Cause.SLOW  # (in a world of its own a thread may wait in a region, and stops not)
    if straggler.waits_for is not None:
        return Cause.LOCK
    if evidence.inside is not None:
        return Cause(evidence.inside)
    if straggler.in_no_freeze:
        return Cause.WORLD  # one that an event loop has, say
    if not evidence.later and evidence.calling is not None:
        return Cause.OUTSIDE
    if not is_in_call(straggler, evidence):
        return Cause.COMPUTING
    if evidence.busy:
        return Cause.C_CALL
    if evidence.joins is not None:
        return Cause.JOIN
    return Cause.WAKER if evidence.waker else Cause.WAITING


def is_in_call(straggler: Straggler, evidence: Evidence) -> bool:
    """Whether the thread stayed in a call of C, for all that can be told.

    Where no instruction is known, who does not compute waits in one; and who does so, and is met at
    a line that calls something, is in that call more likely than anywhere else there.
    """
    if straggler.moving or evidence.calling is not None:
        return bool(evidence.calling) and not straggler.moving
    return evidence.busy is False or (bool(evidence.later) and has_call(evidence.later[-1]))


def is_of_nobody(stack: Sequence[FrameSummary]) -> bool:
    """Whether no line of the program, or of what it has installed, is in it, that could be
    edited."""
    return bool(stack) and all(remoteness(entry.filename) > 1 for entry in stack)


def is_target(stack: Sequence[FrameSummary]) -> bool:
    """Whether the thread is in a call of C that it was started to make."""
    return _is_at(stack[-1], threading.__file__, "run")


def is_idle_worker(stack: Sequence[FrameSummary]) -> bool:
    """Whether it is a worker of a pool of `concurrent.futures`, which waits for work."""
    return _is_at(stack[-1], thread_pools.__file__, "_worker")


def is_job(stack: Sequence[FrameSummary]) -> bool:
    """Whether it is in a call of C that was submitted to a pool of `concurrent.futures`."""
    return _is_at(stack[-1], thread_pools.__file__, "run")


def _is_at(entry: FrameSummary, file: str, function: str) -> bool:
    return (entry.filename, entry.name) == (file, function)


def waits_in(stack: Sequence[FrameSummary], target: str | None = None) -> str:
    """What a thread that does not move waits in, in the words of the program's own line.

    `target` is the name of what it was started to call, which is told where no such line is. If
    that line is a `with` statement that calls nothing, and nothing in Python is called by it, it
    waits for a lock.
    """
    user = nearest(stack)
    if user is None:
        return "a call"
    if target is not None and is_of_nobody(stack):
        return called_in(stack, target)
    call = call_of(user)
    if stack[-1] is user and is_with(call) and "(" not in call:
        return f"lock.acquire, at the beginning of `{call}`"
    if stack[-1] is user and call.endswith(".acquire"):
        return f"lock.acquire, by `{call}`"
    return called_in(stack)


def called_in(stack: Sequence[FrameSummary], target: str | None = None) -> str:
    """The call that the program's own line makes, and in which one further in that is. Where there
    is no such line, `target` is what the thread was started to call."""
    user = nearest(stack)
    if user is None:
        return "a call"
    inner = stack[-1]
    if target is not None and is_of_nobody(stack):
        called = target
        if is_target(stack):
            return f"`{called}`"
    elif inner is user:
        return f"`{call_of(user)}`"
    else:
        called = call_of(user, stack[stack.index(user) + 1].name)
    return (
        f"`{called}` (in `{call_of(inner)}` at {os.path.basename(inner.filename)}:{inner.lineno})"
    )


def takes_something(stack: Sequence[FrameSummary], target: str | None = None) -> bool:
    """Whether the wait takes something shared, as that for a lock or a queue does; such a wait must
    not be put into a blocking region. `target` is the name of what the thread was started to
    call."""
    user = nearest(stack)
    if user is None:
        return False
    if is_target(stack):
        return (target or "").rpartition(".")[2] in TAKERS
    inside = _files_inside(stack, user)
    if _FUTURES in inside:
        return False  # whose result is there for everybody
    if inside:
        return any(file.startswith(_TAKERS) for file in inside)
    call = call_of(user)
    if is_with(call):
        return Line(stack).is_entry
    return call.endswith(tuple(f".{name}" for name in TAKERS))


def runs_event_loop(stack: Sequence[FrameSummary]) -> bool:
    """Whether the program's own line runs a loop of asyncio, which is what does not stop."""
    user = nearest(stack)
    files = () if user is None else _files_inside(stack, user)
    if is_of_nobody(stack):
        files = {entry.filename for entry in stack}
    return any(file.startswith(_ASYNCIO) for file in files)


def is_in_callback(stack: Sequence[FrameSummary]) -> bool:
    """Whether the program's own line is in a callback of a loop of asyncio, a coroutine say."""
    user = nearest(stack)
    outside = () if user is None else stack[: stack.index(user)]
    return any(one.name == "_run" and one.filename.startswith(_ASYNCIO) for one in outside)


def _files_inside(stack: Sequence[FrameSummary], user: FrameSummary) -> set[str]:
    """The files of what the program's own line calls."""
    return {entry.filename for entry in stack[stack.index(user) + 1 :]}


def common(first: Sequence[FrameSummary], later: Sequence[FrameSummary]) -> list[FrameSummary]:
    """The calls that were under way at both looks, the innermost last, as the later one saw them.

    They are the same calls for all that can be told: functions of the same name in the same file.
    """
    shared = []
    for one, other in zip(first, later, strict=False):
        if (one.filename, one.name) != (other.filename, other.name):
            break
        shared.append(other)
    return shared


def of_the_program(stack: Sequence[FrameSummary]) -> list[FrameSummary]:
    """The frames of the code that is nearest to the reader, the innermost first."""
    near = min((remoteness(entry.filename) for entry in stack), default=0)
    return [entry for entry in reversed(stack) if remoteness(entry.filename) == near]
