"""``freezethreads stuck PID``: who does not stop, and why."""

from __future__ import annotations

import argparse
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from freezethreads._ground.jsonable import from_json, to_json
from freezethreads.cli._remote import (
    add_attach,
    add_freezer,
    add_json,
    add_pid,
    add_timeout,
    add_where,
    print_json,
    say,
    talk,
    unread,
    where_of,
)
from freezethreads.cli._wide import add_wide, shown

if TYPE_CHECKING:
    from freezethreads._report.reports import Diagnosis
    from freezethreads.control import Client

__all__ = ["NAME", "SUMMARY", "describe", "run"]

NAME = "stuck"
SUMMARY = "explain which threads of a process do not stop, and why"

DESCRIPTION = """\
Says which threads wait for each other, so that none can ever go on. Freezes the process with a
deadline, lets it go on, and explains who has not stopped: a thread that
computes without a safepoint, is in a call of C or in a wait that is in no blocking region, waits
for a lock that a frozen thread owns, is inside no_freeze() or a todo. Each with the line where a
safepoint or a blocking region would help. Who stops, and hangs for want of a lock that another
thread keeps, is a warning. It names the threads that an exception has ended. Last come those who
stop, and have waited for ten seconds or longer in one place, which may be as it should be; or,
where waits are not known (in a process that was attached to, and with --where), for a second. The
status is 0 if all stop, none is in a deadlock and none was ended by an exception, else 1. Of a
process that does not serve, py-spy shows which threads run, and which wait at one line.
"""
_BETWEEN = 1.0  # seconds between two looks from outside
EPILOG = """\
examples:
  freezethreads stuck 4711
  freezethreads stuck 4711 --timeout 20 --json
  freezethreads stuck 4711 --where unlocked
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Say which arguments there are."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    add_pid(parser)
    add_attach(parser)
    add_timeout(parser, "who has not stopped within S seconds is explained")
    add_where(parser)
    add_freezer(parser)
    add_json(parser)
    add_wide(parser)


def run(arguments: argparse.Namespace) -> int:
    """Explain, and return the status. Raises `WrongUse`."""

    def explain(client: Client) -> int:
        diagnosis = client.request(
            "stuck",
            freezer=arguments.freezer,
            timeout=arguments.timeout,
            where=where_of(client, arguments),
        )
        return _show(arguments, diagnosis)

    def explain_silence(why: str) -> int:
        return _show(arguments, to_json(_look_from_outside(arguments.pid, why)))

    def explain_unserved(why: str) -> int:
        return _show(arguments, to_json(_look_twice(arguments, why)))

    return talk(arguments, explain, explain_silence, explain_unserved)


def _show(arguments: argparse.Namespace, diagnosis: dict[str, Any]) -> int:
    if arguments.json:
        print_json(diagnosis)
    else:
        from freezethreads._explain import render_diagnosis
        from freezethreads._report.reports import Diagnosis

        say(render_diagnosis(from_json(Diagnosis, shown(diagnosis, arguments))).rstrip("\n"))
    return 0 if diagnosis["healthy"] else 1


def _look_twice(arguments: argparse.Namespace, why: str) -> Diagnosis:
    """Of a process that does not serve py-spy sees what its threads do. Raises `WrongUse`."""
    from freezethreads._explain import diagnose_unserved
    from freezethreads.cli._pyspy import Spy, Unreadable

    def look() -> list[dict[str, Any]]:
        with Spy(arguments.pid, variables=False, native=False) as spy:
            return spy.threads()

    try:
        first = look()
        began = monotonic()
        sleep(_BETWEEN)
        later, passed = look(), monotonic() - began
    except Unreadable as error:
        raise unread(arguments, why, error) from error
    return diagnose_unserved(arguments.pid, why, first, later, passed)


def _look_from_outside(pid: int, why: str) -> Diagnosis:
    """A process that does not answer cannot say what it is at, but py-spy may see it."""
    from freezethreads._explain import diagnose_silent
    from freezethreads.cli._pyspy import Spy, Unreadable
    from freezethreads.control._processes import is_suspended

    if is_suspended(pid):  # by nobody in there: whoever has the interpreter just happens to
        return diagnose_silent(pid, f"{why}.", [])
    try:
        with Spy(pid, variables=False, native=False) as spy:
            return diagnose_silent(pid, f"{why}.", spy.threads())
    except Unreadable as error:
        return diagnose_silent(pid, f"{why}; {error}.", [])
