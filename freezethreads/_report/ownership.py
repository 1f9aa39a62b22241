"""Who has which of our locks, and who waits for one: for debug mode and for reports.

The locks themselves always know their owner. Where it was acquired is noted while `tracking` is on,
which costs each acquisition about as much again; it is switched on by the first freezer in debug
mode, and stays on then, and by a freeze of the second engine for as long as that stands. For the
latter each lock is in `_made`: what was acquired before is found there. The dicts are read by
others while threads write their own entries: each step is one operation on a dict whose keys
compare in C (see `_registry.todos`).
"""

from __future__ import annotations

import weakref
from typing import Any, Final

from freezethreads._ground.errors import SafepointViolation
from freezethreads._ground.original import get_ident
from freezethreads._registry.places import Place
from freezethreads._report.statistics import site_of

tracking = False
_always = False

# A lock, and the ident of the thread that acquired it with the place where it did, if anybody has
# noted that.
_acquired: Final[dict[Any, tuple[int, Place | None]]] = {}
# All locks that there are. (The end of one is a function of C, in which nothing is lost.)
_made: Final[dict[weakref.ref[Any], None]] = {}
# The ident of a thread, and the lock that it waits for.
_awaited: Final[dict[int, Any]] = {}


def track() -> None:
    """Note from now on where locks are acquired. Cannot be undone."""
    global tracking, _always
    tracking = _always = True


def note_made(lock: object) -> None:
    """There is one more."""
    _made[weakref.ref(lock, _made.__delitem__)] = None


def track_for_a_while(is_on: bool) -> None:
    """Know of each lock that somebody owns, or need not any more. May be repeated; by one thread at
    a time.

    First this, and then the look at each: who acquires one in between notes it as well.
    """
    global tracking
    before, tracking = tracking, is_on or _always
    if tracking and not before:
        for made in list(_made):
            lock = made()
            owner = None if lock is None else lock.owner
            if owner is not None:
                _acquired.setdefault(lock, (owner, None))
    elif not tracking:
        _acquired.clear()


def owned_by(ident: int) -> list[tuple[Any, Place | None]]:
    """The locks that a thread owns, and where it acquired each. By itself, or while it does not
    run; while this is noted."""
    noted = [(lock, at) for lock, (owner, at) in list(_acquired.items()) if owner == ident]
    return [(lock, at) for lock, at in noted if lock.owner == ident]  # it may be out of date


ITSELF: Final = "itself, or by a thread that has ended"
"""Who has a lock that its own waiter seems to have. A lock knows its owner by ident, which a thread
that begins later gets from one that has ended."""


def note_acquired(lock: object, place: Place) -> None:
    """The calling thread has acquired `lock` there."""
    _acquired[lock] = (get_ident(), place)


def note_released(lock: object) -> None:
    """It was released, by whomever. May be repeated."""
    _acquired.pop(lock, None)


def note_waiting(lock: Any) -> Any:
    """The calling thread waits for `lock` now, None: no longer; returns what it waited for."""
    before = _awaited.pop(get_ident(), None)
    if lock is not None:
        _awaited[get_ident()] = lock
    return before


def awaited_by(ident: int) -> Any:
    """The lock for which that thread waits, or None. From any thread."""
    return _awaited.get(ident)


def acquired_at(lock: object) -> Place | None:
    """Where `lock` was acquired, if that was noted. From any thread."""
    entry = _acquired.get(lock)
    return None if entry is None else entry[1]


def owned_locks() -> list[tuple[Any, int]]:
    """The locks whose acquisition was noted, and the idents of who did it. From any thread."""
    return [(lock, ident) for lock, (ident, _) in list(_acquired.items())]


def check_nothing_owned(place: Place) -> None:
    """Raise `SafepointViolation` if the calling thread owns a lock at this safepoint."""
    me = get_ident()
    owned = [(lock, at) for lock, (ident, at) in list(_acquired.items()) if ident == me]
    if owned:
        locks = " and ".join(
            repr(lock) if at is None else f"{lock!r}, acquired at {where(at)}" for lock, at in owned
        )
        raise SafepointViolation(
            f"this thread owns {locks}, and would keep it while it stands at the {site_of(place)}; "
            "release it before. The thread was not stopped"
        )


def where(place: Place) -> str:
    """The line of a place, for people."""
    site = site_of(place)
    return f"{site.filename}:{site.lineno} in {site.function}"


def reset() -> None:
    """In the child of a fork: nobody but the calling thread acquires or waits."""
    me = get_ident()
    for lock, (ident, _) in list(_acquired.items()):
        if ident != me:
            _acquired.pop(lock, None)
    mine = _awaited.get(me)
    _awaited.clear()
    if mine is not None:
        _awaited[me] = mine
