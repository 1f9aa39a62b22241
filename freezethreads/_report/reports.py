"""What is told of a process: plain facts, which `_ground.jsonable` turns into JSON and back.

A field that is None was not known, or there is none, unless more is said of it. Threads are named
by their `ident`; durations are in seconds. Stacks have the innermost frame first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from freezethreads._ground.jsonable import Unfit
from freezethreads._ground.original import enumerate_threads, monotonic
from freezethreads._registry.requests import Freeze
from freezethreads._registry.states import State
from freezethreads._report.ended import ended
from freezethreads._report.stacks import Stack, nearest, read_stacks
from freezethreads._report.statistics import Site, site_of
from freezethreads._report.stragglers import Straggler, ThreadInfo, other_threads

if TYPE_CHECKING:
    from freezethreads._controller.hooks import Running

INSIDE: Final = {
    "no_freeze": "inside no_freeze()",
    "todo": "making a todo",
    "world": "with a world of its own",
}
"""Where a thread cannot be frozen, and how that is put."""


@dataclass(frozen=True, kw_only=True)
class HookReport:
    """The call of a hook that a thread, ``by``, has been making for ``seconds``: ``which`` is
    "before" or "after". The file and the line are where the hook was added."""

    name: str
    which: str
    by: str
    seconds: float
    filename: str
    lineno: int

    @classmethod
    def of(cls, running: Running) -> Self:
        """What there is to say of that one."""
        site = site_of(running.hook._place)
        names = {thread.ident: thread.name for thread in enumerate_threads()}
        return cls(
            name=running.hook.name,
            which=running.which,
            by=names.get(running.ident, f"thread {running.ident}"),
            seconds=monotonic() - running.since,
            filename=site.filename,
            lineno=site.lineno,
        )


@dataclass(frozen=True, kw_only=True)
class _AnyFreeze:
    """A freeze that was asked for ``seconds`` ago, or has stood for so long.

    An older version does not say ``where``, and means a safepoint. ``hook`` is the one that is
    being called for it.
    """

    kind: str
    group: str
    reason: str
    by: str
    seconds: float
    where: str | None = None
    hook: HookReport | None = None

    @classmethod
    def of(cls, freeze: Freeze, **more: Any) -> Self:
        """What there is to say of that one, and what else this class has."""
        running = None if freeze.unwinding is None else freeze.unwinding.running
        return cls(
            kind=freeze.asked.kind,
            group=", ".join(freeze.asked.groups),
            reason=freeze.asked.reason,
            by=freeze.asked.thread.name,
            seconds=monotonic() - (freeze.stood_at or freeze.asked.at),
            where=freeze.where,
            hook=None if running is None else HookReport.of(running),
            **more,
        )


@dataclass(frozen=True, kw_only=True)
class FreezeRow(_AnyFreeze):
    """One of a freezer's, with its state ("freezing" or "frozen") and how many it asks."""

    state: str
    threads: int


@dataclass(frozen=True, kw_only=True)
class FreezerRow:
    """A freezer: how many threads are registered with it, and how many ``others`` the process has;
    what is asked for or stands, in order; and ``where`` a freeze stops threads that does not say
    it. An older version does not say the others, nor that, and knows safepoints alone."""

    name: str
    threads: int
    state: str
    freezes: tuple[FreezeRow, ...]
    where: str | None = None
    others: int | None = None


@dataclass(frozen=True, kw_only=True)
class ProcessReport:
    """A process with each of its freezers that are served, and how many ``others`` it has that are
    registered with none of these: an older version does not say that."""

    pid: int
    command: tuple[str, ...]
    python: str
    free_threaded: bool
    threads: int
    state: str
    freezers: tuple[FreezerRow, ...]
    others: int | None = None


@dataclass(frozen=True, kw_only=True)
class _AnyThread:
    """A thread, and for how long it has been at its site (None: it runs)."""

    name: str
    ident: int
    native_id: int | None
    group: str
    state: str
    seconds: float | None
    todo_pending: int


@dataclass(frozen=True)
class CodeLine:
    """A line of the program: the innermost one of the code that is nearest to the reader."""

    filename: str
    lineno: int
    function: str

    @classmethod
    def of(cls, stack: Stack) -> Self | None:
        """That of a stack; None if it runs no Python, or nobody can tell."""
        call = nearest(reversed(stack))
        return None if call is None else cls(call.filename, call.lineno, call.function)


@dataclass(frozen=True, kw_only=True)
class EndedReport:
    """A thread that an ``error`` has ended ``seconds`` ago, and the ``line`` that raised it."""

    name: str
    error: str
    seconds: float
    line: CodeLine | None

    def __str__(self) -> str:
        at = ""
        if self.line is not None:
            at = f" at {self.line.filename}:{self.line.lineno} in {self.line.function}"
        return f"{self.name} was ended {self.seconds:.3g} s ago{at} by {self.error}"


def ended_reports() -> tuple[EndedReport, ...]:
    """What is remembered of the threads that an exception has ended, the newest last."""
    now = monotonic()
    return tuple(
        EndedReport(
            name=one.name,
            error=one.error,
            seconds=max(0.0, now - one.at),
            line=None if one.line is None else CodeLine(*one.line),
        )
        for one in ended()
    )


@dataclass(frozen=True, kw_only=True)
class ThreadRow(_AnyThread):
    """A registered thread, and where it is stopped; and at which ``line`` it was met, stopped or
    not. An older version does not say that, nor is it said of a straggler, which has a stack."""

    site: Site | None
    line: CodeLine | None = None

    @classmethod
    def of(cls, info: ThreadInfo | Straggler, **more: Any) -> Self:
        """What there is to say of that one, and what else this class has."""
        return cls(
            name=info.name,
            ident=info.ident,
            native_id=info.native_id,
            group=info.group,
            state=info.state.value,
            seconds=None if info.since is None else max(0.0, monotonic() - info.since),
            todo_pending=info.todo_pending,
            site=info.site,
            **more,
        )


@dataclass(frozen=True, kw_only=True)
class UnregisteredRow:
    """A thread that is not registered. The system's number is not known of each. An older version
    does not say the ``state``, nor the ``line`` at which it was met."""

    name: str
    ident: int
    native_id: int | None
    state: str | None = None
    line: CodeLine | None = None


def count_others(covered: Collection[int]) -> int:
    """How many Python threads the process has whose idents are not among these, without those of
    this library. From any thread."""
    return len(other_threads(covered))


def thread_rows(
    registered: Iterable[ThreadInfo], stopped: Collection[int]
) -> tuple[tuple[ThreadRow, ...], tuple[UnregisteredRow, ...]]:
    """A row for each of these, and for each thread that is not among them, nor this library's.
    `stopped` are the idents of those that a freeze has stopped, registered or not."""
    infos = tuple(registered)
    others = other_threads({info.ident for info in infos})
    idents = [info.ident for info in infos] + [thread.ident or 0 for thread in others]
    stacks = read_stacks(idents)
    rows = (ThreadRow.of(one, line=CodeLine.of(stacks.get(one.ident, ()))) for one in infos)
    unregistered = (
        UnregisteredRow(
            name=thread.name,
            ident=thread.ident or 0,
            native_id=thread.native_id,
            state=(State.FROZEN if thread.ident in stopped else State.RUNNING).value,
            line=CodeLine.of(stacks.get(thread.ident or 0, ())),
        )
        for thread in others
    )
    return tuple(rows), tuple(unregistered)


@dataclass(frozen=True, kw_only=True)
class StragglerReport(ThreadRow):
    """A `Straggler`. Its stack has a row for each frame, the innermost last: the file, the line,
    the function, and the code there. ``text`` puts all of it into words."""

    stack: tuple[tuple[str, int | None, str, str | None], ...]
    moving: bool
    in_no_freeze: bool
    waits_for: str | None
    last_site: Site | None
    last_seen: float | None
    text: str


# Where all threads of a process stand: see `freezethreads._explain`.


@dataclass(frozen=True)
class Variable:
    """A local variable of a frame, as py-spy sees it."""

    name: str
    value: str
    argument: bool


@dataclass(frozen=True)
class Frame:
    """One call in a stack: ``own`` if it is of this library, ``site`` if it stands at the thread's
    site. What is in C has no ``lineno``. With py-spy there may be ``locals``."""

    function: str
    filename: str
    lineno: int | None
    own: bool
    site: bool
    locals: tuple[Variable, ...] | None = None


@dataclass(frozen=True)
class SiteReport:
    """A site, for what one thread is at."""

    kind: str
    label: str | None
    filename: str
    lineno: int
    function: str

    @classmethod
    def of(cls, site: Site) -> Self:
        """What there is to tell of it."""
        return cls(site.kind, site.label, site.filename, site.lineno, site.function)


@dataclass(frozen=True)
class LockReport:
    """A lock of `freezethreads.sync`. Where it was acquired is known in debug mode."""

    lock: str
    acquired: str | None


@dataclass(frozen=True)
class AwaitedLock(LockReport):
    """One that a thread waits for, with the name of its owner."""

    owner: str | None


@dataclass(frozen=True, kw_only=True)
class TaskReport:
    """A task of asyncio, "new", "awaiting" or "running": the ``line`` of the program at which it
    is, and what that awaits ``inside``, which is the same if it is no coroutine. Both are None of
    one that runs, which is in the stack of its loop's thread, and where nobody can tell."""

    name: str
    state: str
    line: CodeLine | None
    inside: CodeLine | None


@dataclass(frozen=True, kw_only=True)
class ThreadReport(_AnyThread):
    """A thread of the process, registered or not; ``current`` marks the one that looks.

    ``last`` and ``last_seconds`` are where one that runs was seen last, and how long ago.
    ``inside`` is a word of `INSIDE`. Who owns a lock is known if somebody waits for it, and in
    debug mode always. ``joins`` is the name of the thread for whose end this one waits in `join()`;
    it is not known without a GIL, nor said by an older version. Neither are the ``tasks`` of the
    event loop that it runs, which are told while it stands. The stack is empty if the thread runs
    no Python, or if nobody can tell.
    """

    registered: bool
    current: bool
    site: SiteReport | None
    last: SiteReport | None
    last_seconds: float | None
    inside: str | None
    owns: tuple[LockReport, ...]
    awaits: AwaitedLock | None
    stack: tuple[Frame, ...]
    joins: str | None = None
    tasks: tuple[TaskReport, ...] | None = None

    def __post_init__(self) -> None:
        if self.site is not None and self.seconds is None:
            raise Unfit("has a 'site' and no 'seconds'")
        if self.last is not None and self.last_seconds is None:
            raise Unfit("has a 'last' and no 'last_seconds'")
        if self.inside not in (None, *INSIDE):
            raise Unfit(f"is inside none of {', '.join(INSIDE)}")


@dataclass(frozen=True, kw_only=True)
class FreezeReport(_AnyFreeze):
    """One that is asked for or stands, and which of both."""

    stands: bool


@dataclass(frozen=True, kw_only=True)
class Description:
    """Where the threads of a process stand: those that are registered in the order in which they
    came, then the others. ``library`` is this package's folder.

    ``frozen`` is whether it was described while all stood, ``waited`` the time until then, ``late``
    are those who did not stop, and ``problem`` is why there was no freeze. ``freezes`` leaves out
    that of whoever looks, and ``library_threads`` are this library's own, which are left out.
    ``deadlocks`` are lines about threads that wait for each other, and ``ended`` are threads that
    an exception has ended.
    """

    python: str
    pid: int
    command: tuple[str, ...]
    freezer: str
    library: str
    frozen: bool
    waited: float | None
    late: tuple[int, ...]
    problem: str | None
    freezes: tuple[FreezeReport, ...]
    threads: tuple[ThreadReport, ...]
    library_threads: tuple[int, ...]
    note: str | None = None
    deadlocks: tuple[str, ...] | None = None
    ended: tuple[EndedReport, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Why a thread does not stop (``cause``: a word of `_explain.Cause`; ``why``, a sentence), what
    would help, and the line that it is about. No thread is to blame if ``thread`` is None.
    ``rewritten`` has the lines that could be in its place, "..." for a block that stays.

    ``stacks`` are none, or two: where the thread was at the deadline, and a moment later.
    """

    cause: str
    thread: str | None
    ident: int | None
    native_id: int | None
    group: str | None
    filename: str | None
    lineno: int | None
    function: str | None
    line: str | None
    why: str
    advice: str
    stacks: tuple[tuple[Frame, ...], ...]
    rewritten: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.stacks) not in (0, 2):
            raise Unfit("has neither no stack nor two")


@dataclass(frozen=True, kw_only=True)
class WaitReport:
    """Threads, by their names, that wait at one site, the first of them for ``seconds``."""

    site: SiteReport
    threads: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What a freeze with a deadline has found: ``healthy`` if all stopped, no thread is in a
    deadlock and none was ended by an exception; and ``waited`` for that.

    ``freezes`` are what others have asked for, or what stands. ``warnings`` are findings about
    threads that no freeze waits for, and that went on, and about threads that stop and hang: they
    wait for a lock that another one keeps. There is neither freezer nor ``waited`` of a
    process that does not answer. ``waits`` are long ones, of threads of which there is nothing else
    to say; none if somebody else has stopped threads. Of one whose site is a "call" nobody knows
    how long it lasts: it did for ``seconds`` at least. ``unregistered`` are the names of those that
    no freeze at safepoints waits for, if all others stopped: whether they were seen to move or not.
    ``late`` is how many did not stop, but for those that only waited for these. An older version
    does not say these three.
    """

    healthy: bool
    pid: int
    freezer: str | None
    library: str
    threads: int
    waited: float | None
    freezes: tuple[FreezeReport, ...]
    findings: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    waits: tuple[WaitReport, ...] = ()
    unregistered: tuple[str, ...] = ()
    late: int = 0

    def __post_init__(self) -> None:
        if self.healthy == bool(self.findings):
            raise Unfit("is healthy with findings, or not without")
        if (self.freezer is None) != (self.waited is None):
            raise Unfit("has a 'freezer' and no 'waited', or the other way round")
