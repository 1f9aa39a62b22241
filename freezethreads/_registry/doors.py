"""The doors of a thread, at which it stops if it is asked to: what keeps them shut.

A door is a safepoint, and the end of a blocking region or of a freezable wait. Three counters shut
them. Only the thread itself writes these:

* `Record.depth`, those of one freezer: the blocking regions that the thread is in, where it counts
  as stopped already. Only `_refrigerator.blocking` counts it.
* `Record.shut`, those of one freezer: its `no_freeze()` regions. Only `_refrigerator.no_freeze`
  counts it.
* `Parking.shut`, those of all freezers: the library does something that a signal handler must not
  stop in the middle of, since others wait for it. That is what this module is for. The refrigerator
  shuts the doors in the same way for as long as a thread stands, and a latch of `sync` while it is
  held.

Whoever shuts the doors of all freezers notes how they were before, and puts that back. So it may be
repeated after an exception, where counting down twice would open what somebody else has shut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from freezethreads._ground.uninterruptible import covered
from freezethreads._registry.record import here

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def call_shut(call: Callable[[*Ts], T], *args: *Ts) -> T:
    """Return `call(*args)`, made with the calling thread's doors shut, and leave them as they were.

    For what others wait for: a signal handler that comes in the middle and calls `safepoint()` must
    not stop the thread there, by a freeze that ends only when these others go on.
    """
    parking = here.parking
    shut = parking.shut
    try:
        try:
            parking.shut = shut + 1
            result = call(*args)
            parking.shut = shut
            return result
        except BaseException:
            parking.shut = shut
            raise
    except BaseException:  # again: another one may have come before that was done
        parking.shut = shut
        raise


@covered
def shut_doors() -> None:
    """Shut the calling thread's doors until `open_doors()`, where no call can be put in between.

    Exactly once, also if it raises: an exception that arrives here is raised afterwards.
    """
    try:
        here.parking.shut += 1
    except BaseException:  # it came before
        here.parking.shut += 1
        raise


@covered
def open_doors() -> None:
    """The reverse. Exactly once, also if it raises."""
    try:
        here.parking.shut -= 1
    except BaseException:
        here.parking.shut -= 1
        raise
