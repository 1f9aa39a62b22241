"""Freezing with a deadline, to explain who does not stop, why, and what would help."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from traceback import FrameSummary
from typing import TYPE_CHECKING, Final

from freezethreads._explain._causes import (
    Cause,
    cause_of,
    common,
    is_of_nobody,
    of_the_program,
)
from freezethreads._explain._describe import frame_of
from freezethreads._explain._hangs import Hang, look_at_hangs
from freezethreads._explain._sentences import Place, advise, explain, rewrite
from freezethreads._explain._source import holder_around, line_of, loop_around
from freezethreads._explain._strangers import look_at_strangers, strangers_to
from freezethreads._explain._waits import Stays, called_by, long_waits
from freezethreads._ground.errors import FreezeTimeout
from freezethreads._ground.files import PACKAGE
from freezethreads._ground.frames import HAS_GIL
from freezethreads._ground.original import Thread, get_ident, getpid, monotonic
from freezethreads._machine.awaited import held_now
from freezethreads._machine.deadlocks import find_deadlocks
from freezethreads._machine.marks import all_marks
from freezethreads._machine.monitoring import is_available
from freezethreads._report.deadlocks import (
    A_SIGN_BY,
    ENDS_BY_ITSELF,
    THE_RESULT_OF,
    THE_THAW_OF,
    Deadlock,
)
from freezethreads._report.looks import Evidence
from freezethreads._report.ownership import owned_locks, where
from freezethreads._report.reports import (
    CodeLine,
    Diagnosis,
    EndedReport,
    Finding,
    Frame,
    FreezeReport,
    ended_reports,
)
from freezethreads._report.stacks import nearest
from freezethreads._report.stragglers import Straggler, other_threads, to_blame

if TYPE_CHECKING:
    from freezethreads._controller.world import Hold
    from freezethreads._freezer import Freezer
    from freezethreads._registry.requests import Freeze


def diagnose(
    freezer: Freezer, timeout: float | None, hold_all: Callable[..., Hold] | None = None
) -> Diagnosis:
    """Stop everybody within `timeout` seconds (None: for ever), and say who does not, and why.

    Everybody has been let go when this returns. From any thread. `hold_all` takes the place of
    `freezer.hold`, for who has something to watch meanwhile, and raises what it likes.
    """
    hold_all = hold_all or freezer.hold
    stays, called = Stays(), dict[int, str]()
    deadlocks = find_deadlocks(reach=True)
    began = monotonic()
    findings: list[Finding] = []
    warnings: list[Finding] = []
    threads = len(freezer.threads())
    strangers: tuple[Thread, ...] = ()
    late: Sequence[Straggler] = ()
    try:
        with hold_all(timeout=timeout, reason="a diagnosis") as hold:
            threads, waited = len(hold.threads), hold.waited
            active = freezer._registry.freezes()
            controllers = {freeze.asked.ident for freeze in active}
            others = [freeze for freeze in active if freeze is not hold._freeze]
            called = {} if others else called_by(hold._freeze)
            strangers = strangers_to(hold.threads, controllers)
            warnings = _hangs(freezer, others, monotonic())
            warnings += [_stranger(freezer, *seen) for seen in look_at_strangers(strangers)]
    except FreezeTimeout as error:
        waited = monotonic() - began
        others = freezer._registry.freezes()
        late = to_blame(error.stragglers)
        if any(_is_at_bar(one) for one in late):
            covered = {get_ident(), *(info.ident for info in freezer.threads())}
            threads += len(other_threads(covered))
        written = freezer._registry.called
        findings = [_reach(find(straggler, written), straggler) for straggler in late]
        # Who has waited since before this freeze may hang for ever, whoever else was late.
        named = {finding.ident for finding in findings}
        warnings = [one for one in _hangs(freezer, others, began) if one.ident not in named]
        if not findings:
            findings = [_controller(error)]
    findings, warnings = _with_deadlocks(deadlocks, findings, warnings)
    # Who has ended may be who would have given a sign that others wait for: then it comes first.
    lacks_sign = any(_lasts(one) and _is_for_a_sign(one) for one in deadlocks)
    findings = [*_ended(), *findings] if lacks_sign else [*findings, *_ended()]
    told = {finding.ident for finding in (*findings, *warnings)}
    # Who has been stopped by others may wait for no other reason.
    records = () if others else list(freezer._registry.records.values())
    return Diagnosis(
        healthy=not findings,
        pid=getpid(),
        freezer=freezer.name,
        library=PACKAGE,
        threads=threads,
        waited=waited,
        freezes=tuple(FreezeReport.of(freeze, stands=freeze.stands) for freeze in others),
        findings=tuple(findings),
        warnings=(*warnings, *_marks()),
        waits=(*long_waits(records, began, told), *stays.unknown_waits(called, told)),
        unregistered=tuple(thread.name for thread in strangers),
        late=len(late),
    )


def _with_deadlocks(
    deadlocks: Sequence[Deadlock], findings: list[Finding], warnings: list[Finding]
) -> tuple[list[Finding], list[Finding]]:
    """The same, with deadlocks before all findings, and those that may be over by themselves before
    all warnings. There is nothing else to say of a thread in one."""
    lasting = [one for deadlock in deadlocks if _lasts(deadlock) for one in _waits(deadlock)]
    others = [one for deadlock in deadlocks if not _lasts(deadlock) for one in _waits(deadlock)]
    dead = {one.ident for one in lasting}
    told = dead | {one.ident for one in others}
    return (
        [*lasting, *(one for one in findings if one.ident not in dead or one.ident is None)],
        [*others, *(one for one in warnings if one.ident not in told or one.ident is None)],
    )


def _lasts(deadlock: Deadlock) -> bool:
    return not any(edge.way_out in ENDS_BY_ITSELF for edge in deadlock.edges)


def _is_for_a_sign(deadlock: Deadlock) -> bool:
    return any(edge.awaited.startswith(A_SIGN_BY) for edge in deadlock.edges)


def _waits(deadlock: Deadlock) -> Iterator[Finding]:
    """A finding about each of its threads, in the order of the circle, and about those behind."""
    advice = _ENDED_ADVICE if deadlock.owner_ended else _CIRCLE_ADVICE
    for prefix, better in _ADVICE.items():
        if any(edge.awaited.startswith(prefix) for edge in deadlock.edges):
            advice = better
    for edge in (*deadlock.edges, *deadlock.behind):
        site = edge.site
        kind = deadlock.kind if edge in deadlock.edges else f"it is behind what is {deadlock.kind}"
        yield finding_of(
            Cause.DEADLOCK,
            None if site is None else Place(site.filename, site.lineno, site.function, False),
            thread=edge.name,
            ident=edge.ident,
            why=f"{edge}: {kind}.",
            advice=advice,
        )


_CIRCLE_ADVICE: Final = (
    "Have all threads acquire such locks in one order, and have none wait for another thread with "
    "a lock in its hands that this one needs."
)
_THAW_ADVICE: Final = (
    "Acquire the lock before the freeze, or release it before the safepoint, blocking region or "
    "wait where its owner stopped. A lease ends such a freeze."
)
_SIGN_ADVICE: Final = (
    "Have whoever gives that sign (sets, notifies, puts or takes) live for as long as others wait "
    "for it, and tell them before it ends; or give the wait a time-out."
)
_RESULT_ADVICE: Final = (
    "Have no job wait for another job of its own pool: there may be no worker for that one. Give "
    "them a pool each, or wait outside of the pool."
)
_ADVICE: Final = {
    A_SIGN_BY: _SIGN_ADVICE,
    THE_RESULT_OF: _RESULT_ADVICE,
    THE_THAW_OF: _THAW_ADVICE,
}
_ENDED_ADVICE: Final = (
    "Have every thread release what it acquires, however it ends: with a `with` block, or in a "
    "`finally`."
)


def _reach(finding: Finding, straggler: Straggler) -> Finding:
    """With another way to stop a thread that comes to no door, where this interpreter has one."""
    if finding.cause not in _COMES_TO_NO_DOOR or _is_at_bar(straggler) or not is_available():
        return finding
    command = f"`freezethreads freeze {getpid()} --where unlocked`"
    other = f"Or change nothing: {command}, or freeze(where='unlocked'), stops it where it is."
    return replace(finding, advice=f"{finding.advice} {other}")


_COMES_TO_NO_DOOR: Final = {
    cause.value for cause in (Cause.COMPUTING, Cause.WAITING, Cause.JOIN, Cause.WAKER)
}


def _is_at_bar(straggler: Straggler) -> bool:
    """Whether it was to be stopped between two bytecodes, as every thread of the process."""
    return straggler.evidence is not None and straggler.evidence.where != "safepoint"


def find(straggler: Straggler, called: str) -> Finding:
    """What there is to say about one thread that did not stop for a freezer that is `called` so."""
    evidence = straggler.evidence
    assert evidence is not None  # whoever is reported by a freezer has it
    cause = cause_of(straggler, evidence)
    place = _place_of(cause, straggler, evidence)
    held = _held_by(straggler, evidence) if cause in _REGION_MAY_HELP else ""
    return finding_of(
        cause,
        place,
        thread=straggler.name,
        ident=straggler.ident,
        native_id=straggler.native_id,
        group=straggler.group,
        why=explain(cause, straggler, evidence, place),
        advice=held or advise(called, cause, evidence, place, _loop_in(evidence.later)),
        rewritten=() if held else rewrite(called, cause, evidence),
        stacks=(straggler.stack, evidence.later),
    )


_REGION_MAY_HELP: Final = (Cause.WAITING, Cause.JOIN, Cause.WAKER, Cause.C_CALL)


def _held_by(straggler: Straggler, evidence: Evidence) -> str:
    """What to do instead of stopping a thread that has a lock; "" if it has none, for all that can
    be told: by its stack, or without a GIL by its source."""
    if _is_at_bar(straggler):
        return ""
    own = [(one, where(at)) for one, who, at in owned_locks() if who == straggler.ident]
    held = [(one.lock, where(one.place)) for one in held_now(straggler.ident)]
    texts = [f"{lock!r}, which it acquired at {at}" for lock, at in (*own, *held)]
    is_alone = is_of_nobody(evidence.later)
    if not (HAS_GIL or is_alone):  # a condition, say, releases what such a block is about
        around = filter(None, map(holder_around, of_the_program(evidence.later)))
        texts += [f"what `with {text}:` around it acquires" for text in around]
    if not texts:
        return ""
    if is_alone:
        return (
            f"It has {texts[0]}: a thread that stops with a lock keeps it from all others, so a "
            "blocking region is no help. Have the program do itself what is done there, without "
            "that lock; or do not register the thread, if it touches nothing that has to stand "
            "still."
        )
    return (
        f"Have it release {texts[0]}, before this call, or put this call out of there: a thread "
        "that stops with a lock keeps it from all others, so a blocking region is no help."
    )


def _place_of(cause: Cause, straggler: Straggler, evidence: Evidence) -> Place | None:
    """The line that a finding is about: where a safepoint, or a region, would help."""
    if cause is Cause.COMPUTING:
        stack = common(straggler.stack, evidence.later) or evidence.later
        return _loop_in(stack) or place_in(stack)
    if cause in (Cause.NO_FREEZE, Cause.SECTION) and evidence.inside_at is not None:
        site = evidence.inside_at
        return Place(site.filename, site.lineno, site.function, False)
    return place_in(evidence.later)


def place_in(stack: Sequence[FrameSummary]) -> Place | None:
    """The line of the program's own code at which such a stack is; None if there is none."""
    entry = nearest(stack)
    return None if entry is None else Place(entry.filename, entry.lineno or 0, entry.name, False)


def _loop_in(stack: Sequence[FrameSummary]) -> Place | None:
    """The innermost loop in which the program's own code is, and that passes no safepoint."""
    for entry in of_the_program(stack):
        # What surrounds a lambda or generator on its line is where it was made, and not in it.
        within = entry.name == "<module>" or not entry.name.startswith("<")
        loop = loop_around(entry.filename, entry.lineno or 0) if within else None
        if loop is not None:
            return Place(entry.filename, loop, entry.name, True)
    return None


def finding_of(
    cause: Cause,
    place: Place | None,
    *,
    why: str,
    advice: str,
    rewritten: tuple[str, ...] = (),
    thread: str | None = None,
    ident: int | None = None,
    native_id: int | None = None,
    group: str | None = None,
    stacks: Sequence[Sequence[FrameSummary]] = (),
) -> Finding:
    """A finding about that place. The stacks have their innermost frame last, as they are read."""
    return Finding(
        cause=cause.value,
        thread=thread,
        ident=ident,
        native_id=native_id,
        group=group,
        filename=None if place is None else place.filename,
        lineno=None if place is None else place.lineno,
        function=None if place is None else place.function,
        line=None if place is None else line_of(place.filename, place.lineno),
        why=why,
        advice=advice,
        rewritten=rewritten or None,
        stacks=tuple(map(_frames, stacks)),
    )


def _frames(stack: Sequence[FrameSummary]) -> tuple[Frame, ...]:
    return tuple(frame_of(entry.name, entry.filename, entry.lineno) for entry in reversed(stack))


def _controller(error: FreezeTimeout) -> Finding:
    why, _, _ = str(error).partition("\n")  # what would help has a line of its own
    advice = error._advice or "Ask once more."  # the last one has ended, or stopped just now
    return finding_of(Cause.CONTROLLER, None, why=f"{why}.", advice=advice)


def _hangs(freezer: Freezer, others: Sequence[Freeze], now: float) -> list[Finding]:
    records = list(freezer._registry.records.values())
    return [_hang(hang) for hang in look_at_hangs(records, others, now)]


def _hang(hang: Hang) -> Finding:
    return finding_of(
        Cause.LOCK,
        place_in(hang.stack),
        thread=hang.name,
        ident=hang.ident,
        native_id=hang.native_id,
        group=hang.group,
        why=hang.why,
        advice=hang.advice,
        stacks=(hang.stack, hang.stack),
    )


def _ended() -> Iterator[Finding]:
    """A finding for each line at which an exception of one type has ended threads."""
    found: dict[tuple[CodeLine | None, str], list[EndedReport]] = {}
    for one in ended_reports():
        found.setdefault((one.line, one.error.partition(":")[0]), []).append(one)
    for (line, _), threads in found.items():
        last = threads[-1]
        more = f", the last of {len(threads)} threads" if len(threads) > 1 else ""
        yield finding_of(
            Cause.ENDED,
            None if line is None else Place(line.filename, line.lineno, line.function, False),
            thread=last.name,
            why=f"{last}{more}. Nobody has done its work since, unless the program has started "
            "another thread for it.",
            advice="Mend what raises there; or catch the exception in the thread's own loop, log "
            "it, and go on.",
        )


def _marks() -> Iterator[Finding]:
    for problem in [one for marks in all_marks() for one in marks.problems().values()]:
        yield finding_of(
            Cause.MARK,
            None,
            why=f"{problem}.",
            advice="Write package.module:Class.method, as the program itself imports it.",
        )


def _stranger(
    freezer: Freezer, thread: Thread, moves: bool, *stacks: list[FrameSummary]
) -> Finding:
    went = "and went on" if moves else "and may have gone on, for all that can be told,"
    return finding_of(
        Cause.UNREGISTERED,
        _loop_in(stacks[-1]) or place_in(stacks[-1]),
        thread=thread.name,
        ident=thread.ident,
        native_id=thread.native_id,
        why=f"{thread.name} is not registered with freezer {freezer.name!r}, {went} while all "
        "others stood.",
        advice="Register it, if it touches what has to stand still: "
        f"`with {freezer._registry.called}.register():` around what it does.",
        stacks=stacks,
    )
