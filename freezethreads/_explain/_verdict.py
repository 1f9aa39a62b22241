"""The text of a diagnosis: for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from freezethreads._explain._text import duration, frames, freeze_in_words, site, some
from freezethreads._ground.text import clean
from freezethreads._report.reports import Diagnosis, Finding, Frame, WaitReport


def render_diagnosis(diagnosis: Diagnosis) -> str:
    """Everything in a diagnosis, as text that ends in a line's end."""
    lines = [_head(diagnosis)]
    lines += [f"  {freeze_in_words(freeze)}" for freeze in diagnosis.freezes]
    lines += _unregistered(diagnosis)
    told: set[str] = set()
    for finding in diagnosis.findings:
        lines += ["", *_finding(finding, told)]
    for warning in diagnosis.warnings:
        lines += ["", *_finding(warning, told, "warning: ")]
    unknown = _unknown(diagnosis)
    known = [wait for wait in diagnosis.waits if wait not in unknown]
    if known:
        lines += ["", "Long waits, which may be as they should be:"]
        lines += [f"  {_wait(wait)}" for wait in known]
    if unknown:
        since = "" if diagnosis.freezer is None else ", since when nobody knows"
        lines += ["", f"Waits{since}, which may be as they should be:"]
        lines += [f"  {_wait(wait)}" for wait in unknown]
    return "\n".join([*map(clean, lines), ""])


def _unknown(diagnosis: Diagnosis) -> list[WaitReport]:
    """The waits of which this library knows no more than it saw: calls of C."""
    return [wait for wait in diagnosis.waits if wait.site.kind == "call"]


def _head(diagnosis: Diagnosis) -> str:
    threads = diagnosis.threads
    dead = [one for one in diagnosis.findings if one.cause == "deadlock"]
    ended = [one for one in diagnosis.findings if one.cause == "ended"]
    others = [one for one in diagnosis.findings if one not in (*dead, *ended)]
    where = f"Process {diagnosis.pid}"
    if diagnosis.freezer is None or diagnosis.waited is None:
        unserved = any(one.cause == "unserved" for one in diagnosis.findings)
        return f"{where}: seen from outside." if unserved else f"{where}: no answer."
    where += f", freezer {diagnosis.freezer!r}"
    one = f"{threads} thread{'' if threads == 1 else 's'} stopped"
    if diagnosis.healthy:
        count = len(diagnosis.warnings)
        state = f"healthy, with {count} warning{'' if count == 1 else 's'}" if count else "healthy"
        waiting = sum(len(wait.threads) for wait in _unknown(diagnosis))
        if waiting:
            who = "1 thread waits" if waiting == 1 else f"{waiting} threads wait"
            state += f", for all that can be told; {who}, as below, and may hang"
        return f"{where}: {state}. {one} within {duration(diagnosis.waited)}."
    counts = [
        f"{len(dead)} thread{'' if len(dead) == 1 else 's'} caught in a deadlock" if dead else "",
        "an exception has ended threads" if ended else "",
    ]
    if any(counts):
        where += f": {', '.join(filter(None, counts))}"
    if dead and not others and diagnosis.freezes:
        return f"{where}."  # of whoever froze the others, or of these: nobody else was late
    if not others and not diagnosis.late:
        return f"{where}. {one} within {duration(diagnosis.waited)}."
    if others and others[0].thread is None:
        return f"{where}: nobody could be stopped."
    where += (
        f"{':' if others else '.'} {len(others) or diagnosis.late} of {threads} threads did not"
    )
    return f"{where} stop. All were let go after {duration(diagnosis.waited)}."


def _unregistered(diagnosis: Diagnosis) -> Iterator[str]:
    names = diagnosis.unregistered
    if names:
        who = "1 thread is" if len(names) == 1 else f"{len(names)} threads are"
        freezer = f"freezer {diagnosis.freezer!r}"
        yield f"  {who} not registered with {freezer}, nor waited for: {some(names)}"


def _finding(finding: Finding, told: set[str], prefix: str = "") -> Iterator[str]:
    """An advice that is among `told` is not repeated, and what is not is added."""
    where = f" at {finding.filename}:{finding.lineno}" if finding.filename else ""
    who = "" if finding.thread is None else f"{finding.thread}: "
    yield f"{prefix}{who}{finding.cause}{where}"
    if finding.line:
        yield f"    {finding.line}"
    yield f"  {finding.why}"
    if finding.advice not in told:
        yield f"  {finding.advice}"
    told.add(finding.advice)
    yield from (f"    {line}" for line in finding.rewritten or ())
    yield from _stacks(finding.stacks)


def _wait(wait: WaitReport) -> str:
    longest = "" if len(wait.threads) == 1 else ", the longest"
    return f"{some(wait.threads)}: at {site(wait.site)}{longest} for {duration(wait.seconds)}"


def _stacks(stacks: Sequence[Sequence[Frame]]) -> Iterator[str]:
    """Both, if they differ: the thread moves, and both tell where."""
    if not stacks:
        return
    first, later = stacks
    if first == later:
        yield "  It is at, most recent call first:"
        yield from frames(first)
        return
    yield "  It was at, most recent call first:"
    yield from frames(first)
    yield "  and a moment later at:"
    yield from frames(later)
