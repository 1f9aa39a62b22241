"""A process that does not answer: as a diagnosis, of what py-spy sees of it from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from traceback import FrameSummary
from typing import Any

from freezethreads._explain._causes import Cause
from freezethreads._explain._diagnosis import finding_of
from freezethreads._explain._sentences import Place
from freezethreads._ground.files import PACKAGE
from freezethreads._report.reports import Diagnosis, Finding
from freezethreads._report.stacks import nearest


def diagnose_silent(pid: int, why: str, spied: Sequence[Mapping[str, Any]]) -> Diagnosis:
    """The diagnosis of a process of which nothing is known but `why` it is taken for silent, and
    what py-spy says of its threads, if anything. The thread that has the interpreter is to blame.
    """
    thread = next((one for one in spied if one["owns_gil"]), None)
    return Diagnosis(
        healthy=False,
        pid=pid,
        freezer=None,
        library=PACKAGE,
        threads=len(spied),
        waited=None,
        freezes=(),
        findings=(_anonymous(why) if thread is None else _find(thread, why),),
        warnings=(),
    )


def _anonymous(why: str) -> Finding:
    advice = "If that is no help, look at it as root, or with a debugger."
    return finding_of(Cause.SILENT, None, why=why, advice=advice)


def _find(thread: Mapping[str, Any], why: str) -> Finding:
    stack = [
        FrameSummary(
            str(frame["filename"]), int(frame["line"]), str(frame["name"]), lookup_line=False
        )
        for frame in reversed(thread["frames"])
    ]
    entry = nearest(stack)
    place = None
    if entry is not None:
        place = Place(entry.filename, entry.lineno or 0, entry.name, False)
    name = thread["thread_name"] or f"thread {thread['os_thread_id']}"
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
