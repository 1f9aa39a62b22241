"""Who has which of our locks, and who waits for one: for debug mode and for reports.

The locks themselves always know their owner, and those that the program makes of
`freezethreads.sync` are all known here: `owned` asks each. Where a lock was acquired is noted while
`tracking` is on, which costs each acquisition about as much again: from the first freezer in debug
mode on for ever, and while forks are guarded. The dicts are read by others while threads write
their own entries: each step is one operation on a dict whose keys compare in C (see
`_registry.todos`).
"""

from __future__ import annotations

from typing import Any, Final

from freezethreads._ground import inherited
from freezethreads._ground.errors import SafepointViolation
from freezethreads._ground.living import Living
from freezethreads._ground.original import get_ident
from freezethreads._registry.places import Place
from freezethreads._report.statistics import site_of

tracking = False

# The locks that the program has made of `freezethreads.sync`.
_made: Final[Living[Any]] = Living()
# A lock, and the ident of the thread that acquired it with the place where it did.
_acquired: dict[Any, tuple[int, Place]] = {}
# The ident of a thread, and the lock that it waits for, with whether that has no time-out.
_awaited: dict[int, tuple[Any, bool]] = {}


# For whom it is on. Changed by one thread at a time where it is taken back.
_trackers: Final[dict[object, None]] = {}


def track(who: object) -> None:
    """Note from now on where locks are acquired, for `who`. May be repeated."""
    global tracking
    _trackers[who] = None
    tracking = True


def untrack(who: object) -> None:
    """Do so no longer, unless somebody else wants it. May be repeated."""
    global tracking
    _trackers.pop(who, None)
    if not _trackers:
        tracking = False
        _acquired.clear()  # their release will not be noted any more


ITSELF: Final = "itself, or by a thread that has ended"
"""Who has a lock that its own waiter seems to have. A lock knows its owner by ident, which a thread
that begins later gets from one that has ended."""


def note_made(lock: object) -> None:
    """The program has made `lock`."""
    _made.add(lock)


def owned() -> dict[int, list[Any]]:
    """The locks that the program has made of `freezethreads.sync` and that somebody owns, by the
    ident of the owner. From any thread.

    Not those that `install()` puts in the place of `threading`'s: such a program may have one
    thread acquire a lock and another one release it, as a sign. Nobody owns that for long.
    """
    found: dict[int, list[Any]] = {}
    for lock in _made:
        owner = lock.owner
        if owner is not None:
            found.setdefault(owner, []).append(lock)
    return found


def note_acquired(lock: object, place: Place) -> None:
    """The calling thread has acquired `lock` there."""
    _acquired[lock] = (get_ident(), place)


def note_released(lock: object) -> None:
    """It was released, by whomever. May be repeated."""
    _acquired.pop(lock, None)


def note_waiting(lock: Any, for_ever: bool) -> tuple[Any, bool] | None:
    """The calling thread waits for `lock` now, perhaps without a time-out; returns what is to be
    given to `note_waited` when it waits no longer."""
    before = _awaited.pop(get_ident(), None)
    _awaited[get_ident()] = lock, for_ever
    return before


def note_waited(before: tuple[Any, bool] | None) -> None:
    """It waits for what it waited for before, if for anything. May be repeated."""
    _awaited.pop(get_ident(), None)
    if before is not None:
        _awaited[get_ident()] = before


def awaited_by(ident: int) -> Any:
    """The lock for which that thread waits, or None. From any thread."""
    return _awaited.get(ident, (None, False))[0]


def waits_for_ever(ident: int) -> bool:
    """Whether that wait has no time-out. From any thread."""
    return _awaited.get(ident, (None, False))[1]


def acquired_at(lock: object) -> Place | None:
    """Where `lock` was acquired, if that was noted. From any thread."""
    entry = _acquired.get(lock)
    return None if entry is None else entry[1]


def owned_locks() -> list[tuple[Any, int, Place]]:
    """The locks whose acquisition was noted, with the ident of who did it, and where. From any
    thread."""
    return [
        (lock, ident, place)
        for lock, (ident, place) in list(_acquired.items())
        if lock.owner == ident  # else it has just been released
    ]


def check_nothing_owned(place: Place) -> None:
    """Raise `SafepointViolation` if the calling thread owns a lock at this safepoint."""
    me = get_ident()
    owned = [(lock, at) for lock, (ident, at) in list(_acquired.items()) if ident == me]
    if owned:
        locks = " and ".join(f"{lock!r}, acquired at {where(at)}" for lock, at in owned)
        raise SafepointViolation(
            f"this thread owns {locks}, and would keep it while it stands at the {site_of(place)}; "
            "release it before. The thread was not stopped"
        )


def where(place: Place) -> str:
    """The line of a place, for people."""
    site = site_of(place)
    return f"{site.filename}:{site.lineno} in {site.function}"


def share() -> None:
    """Before a fork: what `reset` walks over. By the thread that forks."""
    _made.share()
    inherited.share(_acquired)
    inherited.share(_awaited)


def reset() -> None:
    """In the child of a fork: only the calling thread acquires and waits. (See `inherited`.)"""
    global _acquired, _awaited
    me = get_ident()
    _made.reset()
    _acquired = {lock: entry for lock, entry in _acquired.items() if entry[0] == me}
    _awaited = {ident: lock for ident, lock in _awaited.items() if ident == me}
