"""What can be seen of threads: `ThreadInfo` while all is well, `Straggler` when a freeze failed.

Everything here only looks, and tolerates a thread that moves, stops or exits meanwhile.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Final

from freezethreads._ground.arguments import Where
from freezethreads._ground.foreign import ForeignThread
from freezethreads._ground.frames import current_frames
from freezethreads._ground.original import (
    OwnThread,
    Thread,
    enumerate_threads,
    monotonic,
    own_idents,
    sleep,
)
from freezethreads._registry.places import came_at
from freezethreads._registry.record import Record
from freezethreads._registry.states import State
from freezethreads._registry.todos import pending_todos
from freezethreads._report.looks import Evidence, Glance, evidence_of, glance_at, moved
from freezethreads._report.ownership import ITSELF, acquired_at, awaited_by, where
from freezethreads._report.stacks import (
    Stack,
    nearest,
    read_stacks,
    stack_of,
    summary_of,
    with_source,
)
from freezethreads._report.statistics import Site, site_of

_SECOND_LOOK = 0.01  # seconds between the two looks that tell whether a straggler moves
_LOOKS = 16  # at most
_BOOTSTRAP: Final = Thread._bootstrap.__code__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class ThreadInfo:
    """A registered thread at one moment.

    ``site`` is where it is stopped, or None if it runs; ``since`` is when it came there, on the
    monotonic clock in seconds, or None. ``todo_pending`` counts the calls that it still has to
    make, freezes aside.
    """

    name: str
    ident: int
    native_id: int
    state: State
    group: str
    site: Site | None
    since: float | None
    todo_pending: int

    def stack(self) -> traceback.StackSummary:
        """The thread's stack now, the innermost frame last; empty if it has exited.

        From any thread. Without a GIL it has lines and no columns, and the innermost hundred calls
        at most; and it is empty if `faulthandler` cannot tell: of a thread before the last hundred,
        and on 3.13.0 and 3.13.1 always.
        """
        return stack_of(self.ident)


@dataclass(frozen=True)
class Straggler:
    """A thread that had not stopped by the deadline: a `ThreadInfo` and what may tell why.

    ``stack`` was taken at the deadline, in the way of `ThreadInfo.stack`, and ``moving`` tells
    whether a second look 10 ms later found the thread elsewhere. ``in_no_freeze`` is whether it was
    inside ``no_freeze()``, made a todo, or had a world of its own, where it cannot be frozen
    either. ``waits_for`` says which lock of `freezethreads.sync` it waits for, who has it, and
    whether that thread is frozen already; None if it waits for none. ``last_site`` is where it was
    last seen by the freezer and ``last_seen`` how many seconds ago it came there; None if never.
    ``evidence`` is what the library itself makes its diagnosis of.
    """

    name: str
    ident: int
    native_id: int
    state: State
    group: str
    site: Site | None
    since: float | None
    todo_pending: int
    stack: traceback.StackSummary
    moving: bool
    in_no_freeze: bool
    last_site: Site | None
    last_seen: float | None
    waits_for: str | None = None
    evidence: Evidence | None = field(default=None, repr=False)

    def __str__(self) -> str:
        line = nearest(self.stack)  # of the program, and not of what that has called
        at = "" if line is None else f" at {line.filename}:{line.lineno} in {line.name}"
        inside = "inside no_freeze(), a todo or a world of its own"
        how = inside if self.in_no_freeze else self._doing()
        seen = "; no request has met it at a safepoint yet"
        if self.last_seen is not None:
            seen = f"; last seen {self.last_seen:.3g} s before at its {self.last_site}"
        elif self.evidence is not None and self.evidence.where != "safepoint":
            seen = ""  # it was to stop wherever it was
        waits = "" if self.waits_for is None else f"; waits for {self.waits_for}"
        whole = f"{self.name} ({self.ident}) {self.state.name}, {how}{at}{waits}{seen}"
        section = None if self.evidence is None else self.evidence.section
        return whole if section is None else f"{whole}; it is in {section}"

    def _doing(self) -> str:
        in_section = self.evidence is not None and self.evidence.section is not None
        if self.state is not State.RUNNING and not in_section:
            return "stopped meanwhile"
        if not self.stack and self.evidence is not None and self.evidence.calling is None:
            return "nobody can tell where"
        if self.moving:
            return "moving"
        if self.evidence is not None and self.evidence.busy:
            return "not moving, and computing (a long call, or a short loop)"
        return "not moving (a long call, or waiting for something)"


def info_of(record: Record) -> ThreadInfo:
    """What a record says now. From any thread."""
    place = record.place
    return ThreadInfo(
        name=record.name,
        ident=record.ident,
        native_id=record.native_id,
        state=record.state,
        group=record.group,
        site=None if place is None else site_of(place),
        since=None if place is None else came_at(place),
        todo_pending=len(pending_todos(record.todo)),
    )


def infos_of(records: Iterable[Record]) -> tuple[ThreadInfo, ...]:
    """The same for many, leaving out who has exited, also in the middle of this."""
    infos = (info_of(record) for record in records if not record.exited)
    return tuple(info for info in infos if info.state is not State.EXITED)


def report_stragglers(
    records: Iterable[Record], members: Iterable[Record]
) -> tuple[Straggler, ...]:
    """Look twice at the threads that do not stop, of all that a freeze asked to.

    Takes some 10 ms, or up to 0.2 s where somebody seems to compute in C: he may only be there
    whenever one looks, since CPython lets others look when a call has returned. (In a loop with
    four such points half of the looks met the same one.) Nobody is let go meanwhile.
    """
    late = list(records)
    owners = {record.ident: record for record in members if not record.exited}
    looks = [glance_at(late)]
    evidence: dict[Record, Evidence] = {}
    while len(looks) < _LOOKS:
        sleep(_SECOND_LOOK)
        looks.append(glance_at(late))
        evidence = {
            record: evidence_of(record, [look[record] for look in looks], owners) for record in late
        }
        if not any(_may_move(evidence[record], record, looks) for record in late):
            break
    return tuple(
        _straggler(
            record,
            [look[record] for look in looks],
            evidence[record],
            _describe_wait(record, owners, late),
        )
        for record in late
        if not record.exited
    )


def told_of_section(
    straggler: Straggler, where: Where, section: str | None, entered: Site | None
) -> Straggler:
    """The same, with what keeps it from being stopped by a freeze with that `where`."""
    evidence = straggler.evidence
    assert evidence is not None  # whoever is reported by a freezer has it
    if evidence.inside is None:
        evidence = evidence._replace(inside_at=entered)
    evidence = evidence._replace(where=where, section=section)
    return replace(straggler, evidence=evidence)


def merely_waits(straggler: Straggler) -> bool:
    """Whether it waits in a call of C, and in nothing where nobody is stopped: there a freeze
    between two bytecodes has it as soon as nobody runs."""
    evidence = straggler.evidence
    if evidence is None or evidence.where == "safepoint" or straggler.state is not State.RUNNING:
        return False
    if evidence.section is not None or evidence.inside is not None or straggler.in_no_freeze:
        return False
    if straggler.moving or evidence.busy or not (evidence.later or evidence.calling is None):
        return False
    return evidence.busy is False if evidence.calling is None else evidence.calling


def to_blame(stragglers: Sequence[Straggler]) -> Sequence[Straggler]:
    """Without those who would stop as soon as the others do; all, if there are no others."""
    return [one for one in stragglers if not merely_waits(one)] or stragglers


def _may_move(evidence: Evidence, record: Record, looks: list[dict[Record, Glance]]) -> bool:
    """Whether another look may tell more."""
    glances = [look[record] for look in looks]
    return evidence.calling is not False and bool(evidence.busy) and not moved(glances)


def _describe_wait(
    record: Record, owners: Mapping[int, Record], late: Collection[Record]
) -> str | None:
    """What a straggler waits for, and who has it: what a person cannot work out from stacks."""
    lock = awaited_by(record.ident)
    ident = None if lock is None else lock.owner
    if ident is None:
        return None
    owner, place = owners.get(ident), acquired_at(lock)
    ended = ident not in current_frames()
    who = f"thread {ident}, which {'has ended' if ended else 'this freeze does not cover'}"
    if ident == record.ident:
        who = ITSELF
    elif owner is not None:
        how = "which is late as well" if owner in late else "frozen by this freeze"
        who = f"{owner.name}, {how if owner.stopped else 'which runs as well'}"
    since = "" if place is None else f", acquired at {where(place)}"
    return f"{lock!r}, held by {who}{since}"


def _straggler(
    record: Record, glances: list[Glance], evidence: Evidence, waits_for: str | None
) -> Straggler:
    info = info_of(record)
    last = record.place or record.last
    return Straggler(
        name=info.name,
        ident=info.ident,
        native_id=info.native_id,
        state=info.state,
        group=info.group,
        site=info.site,
        since=info.since,
        todo_pending=info.todo_pending,
        stack=with_source(summary_of(glances[0].stack or ())),
        moving=moved(glances),
        in_no_freeze=record.commands
        or (bool(record.shut or record.parking.shut) and info.state is State.RUNNING),
        last_site=None if last is None else site_of(last),
        last_seen=None if last is None else monotonic() - last[4],
        waits_for=waits_for,
        evidence=evidence,
    )


def known_others(covered: Collection[int]) -> tuple[Thread, ...]:
    """The live threads of `threading` whose idents are not among `covered`, without those of this
    library. From any thread."""
    return tuple(
        thread
        for thread in enumerate_threads()
        if not (thread.ident is None or thread.ident in covered or isinstance(thread, OwnThread))
    )


def other_threads(covered: Collection[int]) -> tuple[Thread, ...]:
    """The same of all Python threads, also of those that `threading` does not know."""
    foreign = [thread for thread in foreign_threads() if thread.ident not in covered]
    return (*known_others(covered), *foreign)


def foreign_threads() -> tuple[ForeignThread, ...]:
    """The threads that execute Python code and that `threading` does not know. From any thread.

    None if the process has more than one interpreter: nobody can tell then whose they are.
    """
    if _has_other_interpreters():
        return ()
    # Whoever comes or goes meanwhile may be missing in the one list, and not in the other.
    known = _known_idents()
    unknown = [ident for ident in current_frames() if ident not in known]
    if not unknown:
        return ()
    stacks = read_stacks(unknown)
    known = _known_idents() | (set(unknown) - current_frames().keys())
    return tuple(
        ForeignThread(ident)
        for ident in unknown
        if ident not in known and not _is_on_its_way(stacks.get(ident))
    )


def _known_idents() -> set[int | None]:
    return {*(thread.ident for thread in enumerate_threads()), *own_idents}


def _is_on_its_way(stack: Stack | None) -> bool:
    """Whether it is one of `threading` before it was listed, or after; or has just ended."""
    return stack is not None and (not stack or stack[-1].is_of(_BOOTSTRAP))


def _has_other_interpreters() -> bool:
    name = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    try:
        return len(import_module(name).list_all()) > 1
    except ImportError:
        return False
