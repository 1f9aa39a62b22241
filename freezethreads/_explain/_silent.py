"""A process that does not answer, or serve: as a diagnosis, of what py-spy sees from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from traceback import FrameSummary
from typing import Any, Final, TypeAlias

from freezethreads._explain._causes import Cause
from freezethreads._explain._diagnosis import finding_of, place_in
from freezethreads._explain._sentences import Place
from freezethreads._ground.files import PACKAGE
from freezethreads._report.reports import Diagnosis, Finding, SiteReport, WaitReport

Spied: TypeAlias = Mapping[str, Any]
"""What py-spy says of one thread."""


def diagnose_silent(pid: int, why: str, spied: Sequence[Spied]) -> Diagnosis:
    """The diagnosis of a process of which nothing is known but `why` it is taken for silent, and
    what py-spy says of its threads, if anything. The thread that has the interpreter is to blame.
    """
    thread = next((one for one in spied if one["owns_gil"]), None)
    return _from_outside(pid, spied, _anonymous(why) if thread is None else _find(thread, why))


def diagnose_unserved(
    pid: int, why: str, first: Sequence[Spied], later: Sequence[Spied], seconds: float
) -> Diagnosis:
    """The diagnosis of a process that does not serve, `why` says, of what py-spy saw of its threads
    at two moments, `seconds` apart. Nobody was stopped. So nobody can tell who can go on."""
    before = {thread["os_thread_id"]: thread for thread in first}
    waiting: dict[tuple[str, int, str], list[str]] = {}
    working: list[Finding] = []
    for thread in later:
        place = place_in(_stack_of(thread))
        if place is None:
            continue
        earlier = before.get(thread["os_thread_id"])
        if thread["active"]:
            working.append(_working(thread, place))
        elif earlier and not earlier["active"] and place_in(_stack_of(earlier)) == place:
            key = place.filename, place.lineno, place.function
            waiting.setdefault(key, []).append(_name_of(thread))
    waits = [
        WaitReport(
            site=SiteReport("call", None, *place), threads=tuple(sorted(names)), seconds=seconds
        )
        for place, names in waiting.items()
    ]
    unserved = finding_of(Cause.UNSERVED, None, why=f"{why}.", advice=_UNSERVED_ADVICE)
    return _from_outside(pid, later, unserved, tuple(working), tuple(waits))


def _from_outside(
    pid: int,
    spied: Sequence[Spied],
    finding: Finding,
    warnings: tuple[Finding, ...] = (),
    waits: tuple[WaitReport, ...] = (),
) -> Diagnosis:
    return Diagnosis(
        healthy=False,
        pid=pid,
        freezer=None,
        library=PACKAGE,
        threads=len(spied),
        waited=None,
        freezes=(),
        findings=(finding,),
        warnings=warnings,
        waits=waits,
    )


_UNSERVED_ADVICE: Final = (
    "Nobody was stopped, and from outside nobody can tell who waits for whom. On CPython 3.14 and "
    "newer --attach tells that, and who does not stop, and why, as long as one of its threads runs "
    "Python now and then."
)


def _working(thread: Spied, place: Place) -> Finding:
    name = _name_of(thread)
    return finding_of(
        Cause.COMPUTING,
        place,
        thread=name,
        ident=thread["thread_id"],
        native_id=thread["os_thread_id"],
        why=f"{name} runs, for all that py-spy can tell.",
        advice="A safepoint in its loop would stop it; with --attach it stops without.",
    )


def _name_of(thread: Spied) -> str:
    return str(thread["thread_name"] or f"thread {thread['os_thread_id']}")


def _stack_of(thread: Spied) -> list[FrameSummary]:
    return [
        FrameSummary(
            str(frame["filename"]), int(frame["line"]), str(frame["name"]), lookup_line=False
        )
        for frame in reversed(thread["frames"])
    ]


def _anonymous(why: str) -> Finding:
    advice = "If that is no help, look at it as root, or with a debugger."
    return finding_of(Cause.SILENT, None, why=why, advice=advice)


def _find(thread: Spied, why: str) -> Finding:
    stack = _stack_of(thread)
    place = place_in(stack)
    name = _name_of(thread)
    return finding_of(
        Cause.SILENT,
        place,
        thread=name,
        ident=thread["thread_id"],
        native_id=thread["os_thread_id"],
        why=f"{why} {name} has the interpreter, and nobody else runs.",
        advice=f"Split the call of C at {place} into shorter ones with a safepoint in "
        "between, or use a function that releases the interpreter (the GIL).",
        stacks=(stack, stack),
    )
