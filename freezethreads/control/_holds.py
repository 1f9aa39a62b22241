"""The holds that somebody outside has asked for.

A hold is *kept*, and then it stands until a thaw or the end of its lease, whoever asked for it; or
it belongs to a connection, and ends with that as well. Of one owner, freezer and group there is one
at a time: a second takes the place of the first when it stands. So their number is bounded.
"""

from __future__ import annotations

from typing import NamedTuple

from freezethreads import Freezer, Hold
from freezethreads._controller.standing import renew
from freezethreads._ground.original import allocate_lock
from freezethreads.control._errors import RequestError
from freezethreads.control._log import logger

__all__ = ["Holds", "Key"]

_MOST = 32  # each has a watchdog, which is a thread


class Key(NamedTuple):
    """What there is one hold of. ``owner`` is the connection, or None for one that is kept."""

    owner: object
    freezer: Freezer
    groups: tuple[str, ...]


class Holds:
    """All of one process. From any thread."""

    def __init__(self) -> None:
        # Guards the dict, and nothing else is done under it: no freeze, no thaw, no logging.
        self._lock = allocate_lock()
        self._holds: dict[Key, tuple[Hold, float]] = {}

    def check_room(self, key: Key) -> None:
        """Raise `RequestError` if there are too many already."""
        with self._lock:
            over = {one: held for one, held in self._holds.items() if held[0].expired}
            for one in over:
                del self._holds[one]
            full = key not in self._holds and len(self._holds) >= _MOST
        if full:
            raise RequestError("busy", f"{_MOST} holds from outside stand already; thaw first")

    def put(self, key: Key, hold: Hold, lease: float) -> None:
        """Keep a hold, and thaw the one that it replaces."""
        with self._lock:
            before = self._holds.get(key)
            self._holds[key] = (hold, lease)
        if before is not None:
            _thaw(before[0])

    def of(self, *owners: object) -> list[Key]:
        """The keys of the holds of these owners."""
        with self._lock:
            return [key for key in self._holds if any(key.owner is owner for owner in owners)]

    def owners(self) -> set[object]:
        """Those that have a hold that stands."""
        with self._lock:
            return {key.owner for key, held in self._holds.items() if not held[0].expired}

    def renew(self, key: Key, lease: float | None) -> float | None:
        """Let it stand so long from now (None: as long as before); None if there is none by now.

        Returns that lease, in seconds. Raises FreezeError if it was thawed, or has run out.
        """
        with self._lock:
            held = self._holds.get(key)
            if held is None:
                return None
            hold, before = held
            self._holds[key] = (hold, lease or before)
        renew(hold, lease or before)
        return lease or before

    def thaw(self, key: Key, only: Hold | None = None) -> bool:
        """Let it go; whether it stood until now. May be repeated.

        With `only`, not if another has taken its place.
        """
        with self._lock:
            held = self._holds.get(key)
            if held is None or only not in (None, held[0]):
                return False
            del self._holds[key]
        stood = not held[0].expired
        _thaw(held[0])
        return stood


def _thaw(hold: Hold) -> None:
    """Thaw it. What its hooks raise is logged: all that is to be thawed is thawed."""
    try:
        hold.thaw()
    except ExceptionGroup as group:
        logger.error("%r was thawed", hold, exc_info=group)
