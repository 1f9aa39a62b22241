"""What stands, and who left it so: for tools that tidy up after a program.

A freeze is listed from when it asks the first thread to stop until its thaw.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from freezethreads._controller.nobody import kinds_seen, name_threads, unknown_kinds
from freezethreads._controller.world import Hold, remedy
from freezethreads._ground.arguments import Where
from freezethreads._ground.errors import FreezeError, LeaseExpired
from freezethreads._registry.requests import Freeze
from freezethreads._report.observers import observers

if TYPE_CHECKING:
    from freezethreads._freezer import Freezer


def standing(freezer: Freezer) -> tuple[Freeze, ...]:
    """The worlds and holds of a freezer that are asked for or stand now. From any thread."""
    return tuple(freezer._registry.freezes())


def usual_where(freezer: Freezer) -> Where:
    """Where a freeze stops threads that does not say it itself. From any thread."""
    return freezer._registry.where


def stops_nobody(freezer: Freezer, left_out: Collection[int]) -> str:
    """Why a freeze would stop nobody, though there are other threads than these: none has
    registered, ever. Nothing if it would."""
    registry = freezer._registry
    if registry.groups or registry.where != "safepoint":
        return ""
    return name_threads(registry, left_out)


def thaw_abandoned(freezer: Freezer, freeze: Freeze, why: str) -> None:
    """Thaw one of them in its controller's place, with a warning in the log. From any thread."""
    freezer._controller.thaw_abandoned(freeze, "given up", why)


def remedy_for(freezer: Freezer, freeze: Freeze) -> str:
    """What its controller is to write where it was asked for; nothing where that is not known."""
    thaw = "call thaw() on what it returns in a `finally`"
    return remedy(freezer._registry, freeze, freeze.made_at, thaw)


def kinds_of(hold: Hold) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of the kinds that it was to find settled those of which nothing ever was; and all those of
    which something was. From any thread."""
    seen = kinds_seen(hold._registry)
    return unknown_kinds(hold._freeze.asked.settled, seen), seen


def renew(hold: Hold, seconds: float) -> None:
    """Let the lease of a hold run out so many seconds from now. By one thread at a time.

    Raises `LeaseExpired` if it ran out before, `FreezeError` if the hold was thawed. Raises
    RuntimeError if no thread can be started; the lease is what it was then.
    """
    freeze = hold._freeze
    before = list(freeze.leases)
    if not freeze.done:
        hold._controller.start_lease(freeze, hold._user, seconds)
    in_time = all([lease.call_off() for lease in before])
    if freeze.ended_by == "lease" or not in_time:
        raise LeaseExpired(f"the lease of {freeze!r} ran out; the threads have been running")
    if freeze.done:
        raise FreezeError(f"{freeze!r} was thawed; nothing was renewed")


class Abandoned:
    """While entered, notes each world and hold that the freezer had to thaw, of any freezer.

    Its controller dropped it, or ended. One whose lease ran out is left out: that was agreed.
    """

    def __init__(self) -> None:
        self.messages: list[str] = []

    def __enter__(self) -> None:
        observers[self.note] = None

    def __exit__(self, *exc_info: object) -> None:
        observers.pop(self.note, None)

    def note(self, freeze: Freeze, why: str) -> None:
        """Note it. In the thread that thaws."""
        if freeze.ended_by != "lease":
            self.messages.append(f"{freeze!r} was thawed by the freezer: {why}")
