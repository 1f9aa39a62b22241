"""Why a thread does not stop: the causes, and which of them the evidence about it shows."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Sequence
from enum import Enum
from traceback import FrameSummary

from freezethreads._explain._source import call_of, nearest, remoteness
from freezethreads._looks import Evidence
from freezethreads._report import Straggler
from freezethreads._states import State


class Cause(Enum):
    """Why a thread has not stopped. The values are fixed words, for programs to compare with."""

    COMPUTING = "computing"  # in Python, and passes no safepoint
    C_CALL = "c-call"  # computes in one call of C
    WAITING = "waiting"  # in a call that waits and is in no blocking region
    LOCK = "lock"  # for a lock of freezethreads.sync that another thread owns
    JOIN = "join"  # for the end of a thread
    NO_FREEZE = "no_freeze"
    TODO = "todo"
    WORLD = "world"  # it has a world itself, or waits for one
    WAKER = "waker"  # its waker was called, and has not woken it
    OUTSIDE = "outside"  # it has no Python frame
    SLOW = "slow"  # it stopped just after the deadline
    CONTROLLER = "controller"  # no thread is late: another controller had the turn
    SILENT = "silent"  # the process does not answer: a call of C has its interpreter
    UNREGISTERED = "unregistered"  # a warning: it runs on, and no freeze waits for it


def cause_of(straggler: Straggler, evidence: Evidence) -> Cause:
    """The first cause that the evidence shows: what keeps it from stopping goes before what it does
    meanwhile."""
    if straggler.state is not State.RUNNING:
        return Cause.SLOW
    if straggler.waits_for is not None:
        return Cause.LOCK
    if evidence.inside is not None:
        return Cause(evidence.inside)
    if straggler.in_no_freeze:
        return Cause.WORLD  # one that an event loop has, say
    if not evidence.later:
        return Cause.OUTSIDE
    if straggler.moving or not evidence.calling:
        return Cause.COMPUTING
    if evidence.busy:
        return Cause.C_CALL
    if evidence.joins is not None:
        return Cause.JOIN
    return Cause.WAKER if evidence.waker else Cause.WAITING


def waits_in(stack: Sequence[FrameSummary]) -> str:
    """What a thread that does not move waits in, in the words of the program's own line.

    The call in a `with` statement that waits is that of a lock.
    """
    user = nearest(stack)
    if user is None:
        return "a call"
    call = call_of(user)
    if call.startswith(("with ", "async with ")):
        return f"lock.acquire, at the beginning of `{call}`"
    inner = stack[-1]
    if inner is user:
        return f"`{call}`" if not call.endswith(".acquire") else f"lock.acquire, by `{call}`"
    where = f"{os.path.basename(inner.filename)}:{inner.lineno}"
    return f"`{call}` (in `{call_of(inner)}` at {where})"


def takes_something(stack: Sequence[FrameSummary]) -> bool:
    """Whether the wait takes something shared, as that for a lock or a queue does; such a wait must
    not be put into a blocking region."""
    user = nearest(stack)
    if user is None:
        return False
    inside = {entry.filename for entry in stack[stack.index(user) + 1 :]}
    if inside & {queue.__file__, threading.__file__}:
        return True
    call = call_of(user)
    return call.startswith(("with ", "async with ")) or call.endswith((".acquire", ".get", ".put"))


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
