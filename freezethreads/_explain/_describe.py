"""Where the threads of a process stand, as one structure that JSON can carry.

`describe` makes it, `_text` prints it, the control socket sends it, and the command line puts in
what py-spy sees. All of it is made of dict, list, str, int, float, bool and None:

``python pid command freezer``: which process this is. ``library`` is this package's folder.
``frozen`` is whether it was described while all stood, ``waited`` the seconds until then, ``late``
the idents of those who did not stop, and ``problem`` why there was no freeze; see `look`.
``freezes``: what else is asked for or stands, each with ``kind group reason by seconds stands``.
``threads``: those enrolled in the order in which they came, then the others; each with

* ``name ident native_id group registered state``; ``current`` marks the one that looks;
* ``site`` (``kind label filename lineno function``, or null if it runs) and ``seconds`` there;
  ``last`` and ``last_seconds``: the same of where it was seen last, for one that runs;
* ``inside``: "no_freeze", "todo" or "world", where it cannot be frozen; ``todo_pending``;
* ``owns``: locks of `freezethreads.sync` (``lock acquired``), ``awaits`` one (``lock owner
  acquired``), or null. Who owns a lock is known if somebody waits for it, and in debug mode always;
  where it was acquired, in debug mode;
* ``stack``, the innermost frame first: ``function filename lineno``, ``own`` for frames of this
  library, and ``site`` for the one that stands at the thread's site; empty if it runs no Python,
  or if nobody can tell. (With py-spy, ``locals``: ``name value argument``; and of the thread
  ``active owns_gil``.)

``library_threads`` are the idents of this library's own threads, which are left out.
"""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING, Any

from freezethreads._ground.errors import FreezeError, FreezeTimeout
from freezethreads._ground.files import PACKAGE, is_own
from freezethreads._ground.original import (
    OwnThread,
    enumerate_threads,
    get_ident,
    getpid,
    monotonic,
)
from freezethreads._registry.doors import call_shut
from freezethreads._registry.places import Place, came_at, code_of
from freezethreads._registry.record import Record
from freezethreads._registry.requests import Freeze
from freezethreads._registry.states import State
from freezethreads._registry.todos import pending_todos
from freezethreads._report.looks import shelter_of
from freezethreads._report.ownership import ITSELF, acquired_at, awaited_by, owned_locks, where
from freezethreads._report.stacks import Stack, read_stacks
from freezethreads._report.statistics import site_of

if TYPE_CHECKING:
    from freezethreads._freezer import Freezer

Description = dict[str, Any]


def look(freezer: Freezer, timeout: float | None) -> Description:
    """Stop everybody, describe, and let them go. From any thread, whoever else has stopped whom.

    If not all stop within `timeout` seconds (None: for ever) they are described all the same, going
    on, and it says who was late. So they are in a signal handler that has interrupted a hold of its
    own thread on its way, where nobody else can be stopped.
    """
    own = freezer._registry.own
    if own.record is not None and _has_hold(own.record):
        # It stops for that at its next safepoint, and nobody else may be there to let it go.
        return call_shut(_look, freezer, timeout)
    return _look(freezer, timeout)


def _has_hold(record: Record) -> bool:
    return any(
        freeze.registry is record.registry and not freeze.done and freeze.is_by(record)
        for freeze in record.parking.word.value.freezes
    )


def _look(freezer: Freezer, timeout: float | None) -> Description:
    began = monotonic()
    try:
        with freezer.hold(timeout=timeout, reason="a report") as hold:
            description = describe(freezer, leave_out=hold._freeze)
            description["frozen"] = True
            description["waited"] = hold.waited
    except FreezeTimeout as error:
        description = describe(freezer)
        description["waited"] = monotonic() - began
        description["late"] = [straggler.ident for straggler in error.stragglers]
        description["problem"] = str(error).partition("\n")[0].removesuffix(":")
    except FreezeError as error:
        description = describe(freezer)
        description["problem"] = str(error)
    return description


def describe(freezer: Freezer, *, leave_out: Freeze | None = None) -> Description:
    """Look, and stop nobody. From any thread, also in a signal handler. Raises nothing by itself.

    `leave_out` is a freeze that is not worth mentioning: that of whoever looks.
    """
    registry = freezer._registry
    freezes = [freeze for freeze in list(registry.active) if freeze is not leave_out]
    return {
        "python": platform.python_version(),
        "pid": getpid(),
        "command": _command(),
        "freezer": freezer.name,
        "library": PACKAGE,
        "frozen": False,
        "waited": None,
        "late": [],
        "problem": None,
        "freezes": [describe_freeze(freeze) for freeze in freezes],
        **_Threads(list(registry.records.values())).as_json(),
    }


def _command() -> list[str]:
    return [str(argument) for argument in getattr(sys, "argv", None) or [sys.executable or ""]]


def describe_freeze(freeze: Freeze) -> Description:
    """A freeze that is asked for, or stands."""
    return {
        "kind": freeze.kind,
        "group": freeze.group,
        "reason": freeze.reason,
        "by": freeze.thread.name,
        "seconds": monotonic() - (freeze.stood_at or freeze.asked_at),
        "stands": freeze.stands,
    }


class _Threads:
    """All threads of the process at one moment."""

    def __init__(self, records: list[Record]) -> None:
        self._records = {record.ident: record for record in records if not record.exited}
        self._threads = {thread.ident: thread for thread in enumerate_threads() if thread.ident}
        self._now = monotonic()
        self._owned: dict[int, list[Description]] = {}

    def as_json(self) -> Description:
        stacks = read_stacks()
        library = [
            ident for ident, thread in self._threads.items() if isinstance(thread, OwnThread)
        ]
        idents = dict.fromkeys([*self._records, *self._threads, *stacks])
        seen = [ident for ident in idents if ident not in library]
        self._note_owners(seen)
        return {
            "threads": [self._thread(ident, stacks.get(ident, ())) for ident in seen],
            "library_threads": library,
        }

    def _note_owners(self, idents: list[int]) -> None:
        """Who owns which lock: what was noted, and what somebody waits for."""
        owned = dict(owned_locks())
        for ident in idents:
            lock = awaited_by(ident)
            if lock is not None and lock.owner not in (None, ident):
                owned.setdefault(lock, lock.owner)
        for lock, owner in owned.items():
            place = acquired_at(lock)
            entry = {"lock": repr(lock), "acquired": None if place is None else where(place)}
            self._owned.setdefault(owner, []).append(entry)

    def _thread(self, ident: int, stack: Stack) -> Description:
        record, thread = self._records.get(ident), self._threads.get(ident)
        name, native_id = f"thread {ident}", None
        if thread is not None:
            name, native_id = thread.name, thread.native_id
        if record is not None:
            name, native_id = record.name, record.native_id
        return {
            "name": name,
            "ident": ident,
            "native_id": native_id,
            "registered": record is not None,
            "current": ident == get_ident(),
            **(_UNREGISTERED if record is None else self._standing(record)),
            "owns": self._owned.get(ident, []),
            "awaits": self._awaited(ident),
            "stack": _stack(stack, None if record is None else record.place),
        }

    def _standing(self, record: Record) -> Description:
        """What the freezer knows of one that is enrolled."""
        place, state = record.place, record.state
        may_run = state is State.RUNNING or record.commands
        inside, _ = shelter_of(record) if may_run else (None, None)
        last = record.last if place is None else None
        return {
            "group": record.group,
            "state": state.value,
            "site": None if place is None else _site(place),
            "seconds": None if place is None else self._now - came_at(place),
            "last": None if last is None else _site(last),
            "last_seconds": None if last is None else self._now - came_at(last),
            "inside": inside,
            "todo_pending": len(pending_todos(record.todo)),
        }

    def _awaited(self, ident: int) -> Description | None:
        lock = awaited_by(ident)
        if lock is None:
            return None
        owner, place = lock.owner, acquired_at(lock)
        return {
            "lock": repr(lock),
            "owner": None if owner is None else self._name_of(owner, ident),
            "acquired": None if place is None else where(place),
        }

    def _name_of(self, ident: int, waiter: int) -> str:
        if ident == waiter:
            return ITSELF
        known = self._records.get(ident) or self._threads.get(ident)
        return f"thread {ident}" if known is None else known.name


# What there is to say of the standing of a thread that is not enrolled.
_UNREGISTERED: Description = {
    "group": "",
    "state": "running",
    "site": None,
    "seconds": None,
    "last": None,
    "last_seconds": None,
    "inside": None,
    "todo_pending": 0,
}


def _site(place: Place) -> Description:
    site = site_of(place)
    return {
        "kind": site.kind,
        "label": site.label,
        "filename": site.filename,
        "lineno": site.lineno,
        "function": site.function,
    }


def _stack(calls: Stack, place: Place | None) -> list[Description]:
    """The calls, the innermost first, and which of them stands at `place`."""
    code = None if place is None else code_of(place)
    at = None if code is None else next((call for call in calls if call.is_of(code)), None)
    return [
        {
            "function": code.co_qualname if code and call is at else call.function,
            "filename": call.filename,
            "lineno": call.lineno,
            "own": is_own(call.filename),
            "site": call is at,
        }
        for call in calls
    ]
