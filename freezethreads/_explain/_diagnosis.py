"""Freezing with a deadline, to explain who does not stop, why, and what would help.

A *finding* is a dict that JSON can carry: ``cause`` (a word of `Cause`), ``thread ident native_id
group``, the place that it is about (``filename lineno function line``; null where there is none),
``why`` and ``advice`` (a sentence each), and ``stacks``: where the thread was at the deadline, and
a moment later, each the innermost frame first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from traceback import FrameSummary
from typing import TYPE_CHECKING, Any

from freezethreads._explain._causes import Cause, cause_of, common, of_the_program
from freezethreads._explain._describe import describe_freeze
from freezethreads._explain._sentences import Place, advise, explain
from freezethreads._explain._source import line_of, loop_around, nearest
from freezethreads._explain._strangers import look_at_strangers
from freezethreads._ground.errors import FreezeTimeout
from freezethreads._ground.files import PACKAGE, is_own
from freezethreads._ground.original import getpid, monotonic
from freezethreads._report.looks import Evidence
from freezethreads._report.stragglers import Straggler

if TYPE_CHECKING:
    from freezethreads._controller.world import Hold
    from freezethreads._freezer import Freezer

Finding = dict[str, Any]


def diagnose(
    freezer: Freezer, timeout: float | None, hold_all: Callable[..., Hold] | None = None
) -> dict[str, Any]:
    """Stop everybody within `timeout` seconds (None: for ever), and say who does not, and why.

    Everybody has been let go when this returns: a dict with ``healthy`` (whether all stopped),
    ``pid freezer library threads waited`` (seconds), ``freezes`` (what others have asked for, or
    what stands), ``findings``, and ``warnings``: findings about threads which no freeze waits for,
    and which went on. From any thread. `hold_all` takes the
    place of `freezer.hold`, for who has something to watch meanwhile, and raises what it likes.
    """
    hold_all = hold_all or freezer.hold
    began = monotonic()
    findings: list[Finding] = []
    warnings: list[Finding] = []
    threads = len(freezer.threads())
    try:
        with hold_all(timeout=timeout, reason="a diagnosis") as hold:
            threads, waited = len(hold.threads), hold.waited
            active = list(freezer._registry.active)
            controllers = {freeze.owner for freeze in active}
            others = [freeze for freeze in active if freeze is not hold._freeze]
            strangers = look_at_strangers(hold.threads, controllers)
            warnings = [_stranger(freezer, *seen) for seen in strangers]
    except FreezeTimeout as error:
        waited = monotonic() - began
        others = list(freezer._registry.active)
        findings = [find(straggler, freezer._registry.called) for straggler in error.stragglers]
        if not findings:
            findings = [_controller(str(error))]
    return {
        "healthy": not findings,
        "pid": getpid(),
        "freezer": freezer.name,
        "library": PACKAGE,
        "threads": threads,
        "waited": waited,
        "freezes": [describe_freeze(freeze) for freeze in others],
        "findings": findings,
        "warnings": warnings,
    }


def find(straggler: Straggler, called: str) -> Finding:
    """What there is to say about one thread that did not stop for a freezer that is `called` so."""
    evidence = straggler.evidence
    assert evidence is not None  # whoever is reported by a freezer has it
    cause = cause_of(straggler, evidence)
    place = _place_of(cause, straggler, evidence)
    return {
        "cause": cause.value,
        "thread": straggler.name,
        "ident": straggler.ident,
        "native_id": straggler.native_id,
        "group": straggler.group,
        **where(place),
        "why": explain(cause, straggler, evidence, place),
        "advice": advise(called, cause, evidence, place, _loop_in(evidence.later)),
        "stacks": [stack_of_finding(straggler.stack), stack_of_finding(evidence.later)],
    }


def _place_of(cause: Cause, straggler: Straggler, evidence: Evidence) -> Place | None:
    """The line that a finding is about: where a safepoint, or a region, would help."""
    if cause is Cause.COMPUTING:
        stack = common(straggler.stack, evidence.later) or evidence.later
        return _loop_in(stack) or _nearest(stack)
    if cause is Cause.NO_FREEZE and evidence.inside_at is not None:
        site = evidence.inside_at
        return Place(site.filename, site.lineno, site.function, False)
    return _nearest(evidence.later)


def _nearest(stack: Sequence[FrameSummary]) -> Place | None:
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


def where(place: Place | None) -> Finding:
    """What a finding says of its place."""
    if place is None:
        return {"filename": None, "lineno": None, "function": None, "line": None}
    return {
        "filename": place.filename,
        "lineno": place.lineno,
        "function": place.function,
        "line": line_of(place.filename, place.lineno),
    }


def stack_of_finding(stack: Sequence[FrameSummary]) -> list[dict[str, Any]]:
    """A stack, the innermost frame last, as a finding has it: the innermost first."""
    return [
        {
            "function": entry.name,
            "filename": entry.filename,
            "lineno": entry.lineno,
            "own": is_own(entry.filename),
            "site": False,
        }
        for entry in reversed(stack)
    ]


def _controller(message: str) -> Finding:
    return {
        "cause": Cause.CONTROLLER.value,
        "thread": None,
        "ident": None,
        "native_id": None,
        "group": None,
        **where(None),
        "why": f"{message}.",
        "advice": "Have that controller thaw, or give its freeze a lease.",
        "stacks": [],
    }


def _stranger(
    freezer: Freezer, name: str, ident: int, native_id: int | None, *stacks: list[FrameSummary]
) -> Finding:
    place = _loop_in(stacks[-1]) or _nearest(stacks[-1])
    return {
        "cause": Cause.UNREGISTERED.value,
        "thread": name,
        "ident": ident,
        "native_id": native_id,
        "group": None,
        **where(place),
        "why": f"{name} is not registered with freezer {freezer.name!r}, and went on while all "
        "others stood.",
        "advice": "Register it, if it touches what has to stand still: "
        f"`with {freezer._registry.called}.register():` around what it does.",
        "stacks": [stack_of_finding(stack) for stack in stacks],
    }
