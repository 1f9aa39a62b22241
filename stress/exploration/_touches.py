"""What the instrumented core calls before each access.

A write that changes nothing, such as to take away what is not there, counts as a read: it makes no
difference to others whether it comes before them or after them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sized
from typing import Any, Final, TypeVar

from stress.exploration._run import current_run

__all__ = ["alter", "call", "change", "load", "look", "make", "put", "put_item"]

T = TypeVar("T")

CONTAINERS: Final[frozenset[type]] = frozenset({deque, dict, list, set})
READS: Final = frozenset({"copy", "count", "get", "index", "items", "keys", "values"})
ABSENT: Final = object()


def load(thing: T, part: str) -> T:
    """An attribute is about to be read."""
    run = current_run()
    if run is not None:
        run.touch(thing, part, False)
    return thing


def change(thing: T, part: str) -> T:
    """An attribute is about to be written."""
    run = current_run()
    if run is not None:
        run.touch(thing, part, True)
    return thing


def put(value: object, thing: Any, part: str) -> None:
    """Write an attribute."""
    run = current_run()
    if run is not None:
        step = run.touch(thing, part, True)
        step.writes = getattr(thing, part, ABSENT) is not value
    setattr(thing, part, value)


def make(value: object, thing: Any, part: str) -> None:
    """Write an attribute of what nobody else knows yet, and know it by its name."""
    run = current_run()
    if run is not None:
        run.name(thing)
        if type(value) in CONTAINERS:
            run.name(value)
    setattr(thing, part, value)


def look(thing: T) -> T:
    """If it is a container, it is about to be read."""
    if type(thing) in CONTAINERS:
        run = current_run()
        if run is not None:
            run.touch(thing, "", False)
    return thing


def alter(thing: T) -> T:
    """A container is about to be changed."""
    run = current_run()
    if run is not None:
        run.touch(thing, "", True)
    return thing


def put_item(value: object, thing: Any, key: Any) -> None:
    """Put something into a container."""
    run = current_run()
    if run is not None:
        step = run.touch(thing, "", True)
        # (Not by `get`: the first one in a thread makes a free-threaded 3.13 yield forty times.)
        step.writes = type(thing) is not dict or key not in thing or thing[key] is not value
    thing[key] = value


def call(thing: Any, method: str, /, *args: Any, **options: Any) -> Any:
    """Call a method that a container has."""
    if type(thing) in CONTAINERS:
        run = current_run()
        if run is not None:
            return _call(run.touch(thing, "", method not in READS), thing, method, args, options)
    return getattr(thing, method)(*args, **options)


def _call(step: Any, thing: Sized, method: str, args: Any, options: Any) -> Any:
    before = len(thing)
    try:
        return getattr(thing, method)(*args, **options)
    finally:
        step.writes = len(thing) != before or method == "update"
