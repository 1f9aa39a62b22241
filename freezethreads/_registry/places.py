"""Where a thread counts as stopped: in its program, and since when.

A place is a bare tuple, since one is made for each blocking region. Whoever wants to know something
of one asks a function here. Only this module knows what stands where in it, and the way into a
region (`_refrigerator.blocking`), which makes one without a call.
"""

from __future__ import annotations

from types import CodeType, FrameType
from typing import Literal, TypeAlias

from freezethreads._ground.completion import Bell
from freezethreads._ground.original import monotonic

Kind: TypeAlias = Literal["safepoint", "blocking", "wait", "freezable", "call", "anywhere", "hook"]

# kind, label, code and offset of the last instruction there, when it came there (monotonic),
# whether a child of fork() may run while a thread stands there, the bell that wakes the thread
# from there, if it can be woken, and what the thread is in there, that some freezes do not stop a
# thread in: they do not count it (see `requests.Freeze.spares`).
Place: TypeAlias = tuple[
    Kind, str | None, CodeType, int, float, bool, Bell | None, tuple[object, ...]
]


def place_of(frame: FrameType, kind: Kind, label: str | None) -> Place:
    """Where `frame` is now."""
    if label is not None and label.__class__ is not str:
        label = str(label)  # nobody has looked at it while nothing was asked
    return (kind, label, frame.f_code, frame.f_lasti, monotonic(), True, None, ())


def place_at(code: CodeType, offset: int, kind: Kind = "anywhere") -> Place:
    """Where a thread is about to execute an instruction, or is in a call of C."""
    return (kind, None, code, offset, monotonic(), kind != "call", None, ())


def in_refrigerator(place: Place) -> Place:
    """The same place, for a thread that is parked on its way out of it: no fork minds."""
    if place[5] and place[6] is None and not place[7]:
        return place  # a safepoint's
    return (*place[:5], True, None, ())


def wait_at(
    frame: FrameType,
    label: str,
    fork_safe: bool,
    bell: Bell | None,
    closed: tuple[object, ...],
) -> Place:
    """Where `frame` is now, for a freezable wait from which `bell` wakes the thread."""
    return ("wait", label, frame.f_code, frame.f_lasti, monotonic(), fork_safe, bell, closed)


def in_unfinished(place: Place, closed: tuple[object, ...]) -> Place:
    """The same place, for a thread that has this unfinished there."""
    return (*place[:7], closed)


def not_fork_safe(place: Place) -> Place:
    """The same place, where a child of fork() must not run."""
    return (*place[:5], False, *place[6:])


def kind_of(place: Place) -> Kind:
    """What brings a thread to stop there."""
    return place[0]


def code_of(place: Place) -> CodeType:
    """The code in which it is."""
    return place[2]


def offset_of(place: Place) -> int:
    """At which instruction of it."""
    return place[3]


def came_at(place: Place) -> float:
    """When the thread came there, on the monotonic clock."""
    return place[4]


def bell_of(place: Place) -> Bell | None:
    """What wakes the thread from there, or None: nothing does before it comes out by itself."""
    return place[6]


def closed_at(place: Place) -> tuple[object, ...]:
    """What the thread is in there, that some freezes do not stop a thread in."""
    return place[7]
