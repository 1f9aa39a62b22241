"""Where the threads of a process stand, as one `Description`.

`_text` prints it, the control socket sends it, and the command line puts in what py-spy sees.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from freezethreads._explain._tasks import tasks_of
from freezethreads._ground.errors import FreezeError, FreezeTimeout
from freezethreads._ground.files import PACKAGE, is_own
from freezethreads._ground.original import (
    OwnThread,
    enumerate_threads,
    get_ident,
    getpid,
    monotonic,
    own_idents,
)
from freezethreads._machine.deadlocks import find_deadlocks
from freezethreads._registry.doors import call_shut
from freezethreads._registry.places import Place, came_at, code_of
from freezethreads._registry.record import Record
from freezethreads._registry.requests import Freeze
from freezethreads._registry.states import State
from freezethreads._registry.todos import pending_todos
from freezethreads._report.looks import shelter_of
from freezethreads._report.ownership import ITSELF, acquired_at, awaited_by, owned_locks, where
from freezethreads._report.reports import (
    AwaitedLock,
    Description,
    Frame,
    FreezeReport,
    LockReport,
    SiteReport,
    TaskReport,
    ThreadReport,
    ended_reports,
)
from freezethreads._report.stacks import INNERMOST, Stack, read_stacks
from freezethreads._report.statistics import site_of
from freezethreads._report.stragglers import foreign_threads

if TYPE_CHECKING:
    from freezethreads._freezer import Freezer


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
        freeze.registry is record.registry and not freeze.done and freeze.asked.is_by(record)
        for freeze in record.parking.word.value.freezes
    )


def _look(freezer: Freezer, timeout: float | None) -> Description:
    # Before: who stands for this may be who seems to be able to give a sign.
    deadlocks = _deadlocks(freezer)
    began = monotonic()
    try:
        with freezer.hold(timeout=timeout, reason="a report") as hold:
            description = describe(freezer, leave_out=hold._freeze, deadlocks=deadlocks)
            return replace(description, frozen=True, waited=hold.waited)
    except FreezeTimeout as error:
        return replace(
            describe(freezer, deadlocks=deadlocks),
            waited=monotonic() - began,
            late=tuple(straggler.ident for straggler in error.stragglers),
            problem=str(error).partition("\n")[0].removesuffix(":"),
        )
    except FreezeError as error:
        return replace(describe(freezer, deadlocks=deadlocks), problem=str(error))


def _deadlocks(freezer: Freezer) -> tuple[str, ...]:
    """Those of now. While anybody is stopped, it is not looked who could give a sign: who stands
    only seems to be able to."""
    found = find_deadlocks(reach=not freezer._registry.active)
    return tuple(line for one in found for line in str(one).splitlines())


def describe(
    freezer: Freezer,
    *,
    leave_out: Freeze | None = None,
    deadlocks: tuple[str, ...] | None = None,
) -> Description:
    """Look, and stop nobody. From any thread, also in a signal handler. Raises nothing by itself.

    `leave_out` is a freeze that is not worth mentioning: that of whoever looks. `deadlocks` are
    those that were seen before it (None: those that there are now).
    """
    registry = freezer._registry
    freezes = [freeze for freeze in registry.freezes() if freeze is not leave_out]
    stopped = [record for freeze in list(registry.active) for record in list(freeze.members)]
    found = _Threads(list(registry.records.values()), stopped)
    return Description(
        python=platform.python_version(),
        pid=getpid(),
        command=_command(),
        freezer=freezer.name,
        library=PACKAGE,
        frozen=False,
        waited=None,
        late=(),
        problem=None,
        freezes=tuple(FreezeReport.of(freeze, stands=freeze.stands) for freeze in freezes),
        threads=found.reports(),
        library_threads=found.library,
        deadlocks=(_deadlocks(freezer) if deadlocks is None else deadlocks) or None,
        ended=ended_reports() or None,
    )


def _command() -> tuple[str, ...]:
    return tuple(map(str, getattr(sys, "argv", None) or [sys.executable or ""]))


class _Threads:
    """All threads of the process at one moment."""

    def __init__(self, records: list[Record], stopped: list[Record]) -> None:
        self._records = {record.ident: record for record in records if not record.exited}
        # Of threads that are not registered, whom a freeze between two bytecodes has stopped.
        self._strangers = {
            record.ident: record for record in stopped if record.ident not in self._records
        }
        threads = (*enumerate_threads(), *foreign_threads())
        self._threads = {thread.ident: thread for thread in threads if thread.ident}
        self._now = monotonic()
        self._owned: dict[int, list[LockReport]] = {}
        self._seen: frozenset[int] = frozenset()
        self._tasks: dict[int, tuple[TaskReport, ...]] = {}
        known = [one for one, thread in self._threads.items() if isinstance(thread, OwnThread)]
        self.library = tuple(dict.fromkeys([*known, *list(own_idents)]))

    def reports(self) -> tuple[ThreadReport, ...]:
        stacks = read_stacks()
        idents = dict.fromkeys([*self._records, *self._threads, *stacks])
        seen = [ident for ident in idents if ident not in self.library]
        self._seen = frozenset(idents)
        self._note_owners(seen)
        self._tasks = tasks_of([ident for ident in seen if self._stands(ident)])
        return tuple(self._thread(ident, stacks.get(ident, ())) for ident in seen)

    def _stands(self, ident: int) -> bool:
        record = self._records.get(ident) or self._strangers.get(ident)
        return record is not None and record.state is State.FROZEN

    def _note_owners(self, idents: list[int]) -> None:
        """Who owns which lock: what was noted, and what somebody waits for."""
        owned = {lock: ident for lock, ident, _ in owned_locks()}
        for ident in idents:
            lock = awaited_by(ident)
            if lock is not None and lock.owner not in (None, ident):
                owned.setdefault(lock, lock.owner)
        for lock, owner in owned.items():
            report = LockReport(repr(lock), _acquired(lock))
            self._owned.setdefault(owner, []).append(report)

    def _thread(self, ident: int, stack: Stack) -> ThreadReport:
        registered, thread = self._records.get(ident), self._threads.get(ident)
        record = registered or self._strangers.get(ident)
        place, last = (None, None) if record is None else (record.place, record.last)
        if place is not None:
            last = None
        known = record or thread
        return ThreadReport(
            name=f"thread {ident}" if known is None else known.name,
            ident=ident,
            native_id=None if known is None else known.native_id,
            group="" if record is None else record.group,
            registered=registered is not None,
            current=ident == get_ident(),
            state=(State.RUNNING if record is None else record.state).value,
            site=_site(place),
            seconds=self._seconds_since(place),
            last=_site(last),
            last_seconds=self._seconds_since(last),
            inside=None if record is None else _inside(record),
            todo_pending=0 if record is None else len(pending_todos(record.todo)),
            owns=tuple(self._owned.get(ident, ())),
            awaits=self._awaited(ident),
            joins=self._joined_by(ident, stack),
            tasks=self._tasks.get(ident),
            stack=_stack(stack, place),
        )

    def _seconds_since(self, place: Place | None) -> float | None:
        return None if place is None else self._now - came_at(place)

    def _awaited(self, ident: int) -> AwaitedLock | None:
        lock = awaited_by(ident)
        if lock is None:
            return None
        owner = None if lock.owner is None else self._name_of(lock.owner, ident)
        return AwaitedLock(repr(lock), _acquired(lock), owner)

    def _joined_by(self, ident: int, stack: Stack) -> str | None:
        joined = next((call.joins for call in stack[:INNERMOST] if call.joins is not None), None)
        return None if joined is None else self._name_of(joined, ident)

    def _name_of(self, ident: int, waiter: int) -> str:
        if ident == waiter:
            return ITSELF
        known = self._records.get(ident) or self._threads.get(ident)
        if known is not None:
            return known.name
        return f"thread {ident}" if ident in self._seen else f"thread {ident}, which has ended"


def _acquired(lock: object) -> str | None:
    place = acquired_at(lock)
    return None if place is None else where(place)


def _inside(record: Record) -> str | None:
    """What keeps a thread that may run from being frozen, if anything does."""
    may_run = record.state is State.RUNNING or record.commands
    return shelter_of(record)[0] if may_run else None


def _site(place: Place | None) -> SiteReport | None:
    return None if place is None else SiteReport.of(site_of(place))


def _stack(calls: Stack, place: Place | None) -> tuple[Frame, ...]:
    """The calls, the innermost first, and which of them stands at `place`."""
    code = None if place is None else code_of(place)
    at = None if code is None else next((call for call in calls if call.is_of(code)), None)
    return tuple(
        frame_of(
            code.co_qualname if code and call is at else call.function,
            call.filename,
            call.lineno,
            at_site=call is at,
        )
        for call in calls
    )


def frame_of(function: str, filename: str, lineno: int | None, *, at_site: bool = False) -> Frame:
    """One call of a stack."""
    return Frame(function, filename, lineno, is_own(filename), at_site)
