"""What a process says of its freezers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping

from freezethreads import Freezer, Hold, Straggler
from freezethreads._controller.standing import standing, usual_where
from freezethreads._machine.caught import in_sections
from freezethreads._report.reports import (
    FreezeRow,
    FreezerRow,
    ProcessReport,
    StragglerReport,
    count_others,
)
from freezethreads.control._spoken import Caught

__all__ = [
    "caught_by",
    "describe_freezer",
    "describe_process",
    "describe_straggler",
    "stopped_idents",
]

_LONGEST_COMMAND = 100  # words


def describe_process(freezers: Mapping[str, Freezer]) -> ProcessReport:
    """What the process is, with each of its freezers that are served."""
    rows = tuple(map(describe_freezer, freezers.values()))
    registered = {info.ident for freezer in freezers.values() for info in freezer.threads()}
    return ProcessReport(
        pid=os.getpid(),
        command=tuple(sys.orig_argv[:_LONGEST_COMMAND]),
        python=sys.version.partition(" ")[0],
        free_threaded="free-threading" in sys.version,
        threads=sum(row.threads for row in rows),
        state=_most(row.state for row in rows),
        freezers=rows,
        others=count_others(registered),
    )


def describe_freezer(freezer: Freezer) -> FreezerRow:
    """Its threads counted, and the worlds and holds that are asked for or stand, in order."""
    freezes = tuple(
        FreezeRow.of(
            freeze,
            state="frozen" if freeze.stands else "freezing",
            threads=len(freeze.all_members()),
        )
        for freeze in standing(freezer)
        if not freeze.done
    )
    registered = freezer.threads()
    return FreezerRow(
        name=freezer.name,
        threads=len(registered),
        state=_most(freeze.state for freeze in freezes),
        freezes=freezes,
        where=usual_where(freezer),
        others=count_others({info.ident for info in registered}),
    )


def stopped_idents(freezer: Freezer) -> set[int]:
    """Whom what stands has stopped, whether they are registered or not."""
    standing_now = [freeze for freeze in standing(freezer) if freeze.stands]
    return {record.ident for freeze in standing_now for record in freeze.all_members()}


def caught_by(hold: Hold) -> tuple[Caught, ...]:
    """Who stands at a place that the program has not declared: in a section, or a freezable wait.

    Of one that stops threads elsewhere nobody: where it stops them it says itself.
    """
    if hold.where != "safepoint":
        return ()
    infos, found = hold.threads, list[Caught]()
    sections = dict(in_sections(info.ident for info in infos))
    for info in infos:
        if info.ident in sections:
            found.append(Caught(info.name, "section", str(sections[info.ident])))
        elif info.site is not None and info.site.kind == "wait":
            found.append(Caught(info.name, "wait", str(info.site)))
    return tuple(found)


def _most(states: Iterable[str]) -> str:
    """The state of many: whoever looks wants to know that something stands."""
    found = set(states)
    return next((state for state in ("frozen", "freezing") if state in found), "running")


def describe_straggler(straggler: Straggler) -> StragglerReport:
    """A thread that did not stop, and what may tell why."""
    return StragglerReport.of(
        straggler,
        stack=tuple(
            (frame.filename, frame.lineno, frame.name, frame.line) for frame in straggler.stack
        ),
        moving=straggler.moving,
        in_no_freeze=straggler.in_no_freeze,
        waits_for=straggler.waits_for,
        last_site=straggler.last_site,
        last_seen=straggler.last_seen,
        text=str(straggler),
    )
