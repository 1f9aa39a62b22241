"""``freezethreads dump PID``: where all threads of a process stand."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from freezethreads._ground.jsonable import from_json
from freezethreads._ground.text import clean_lines
from freezethreads.cli._remote import (
    add_attach,
    add_freezer,
    add_json,
    add_pid,
    add_timeout,
    add_where,
    next_step,
    print_json,
    say,
    talk,
    unread,
    where_of,
)
from freezethreads.cli._wide import add_wide, shown

if TYPE_CHECKING:
    from freezethreads.control import Client

__all__ = ["NAME", "SUMMARY", "describe", "run"]

NAME = "dump"
SUMMARY = "show where all threads of a process stand, frozen at their safepoints"

DESCRIPTION = """\
Freezes a process, shows each thread with its stack and with what the freezer knows of it, and lets
it go on. The stacks are those that py-spy reads from outside (the extra 'debug'), or those which
the process itself reports where it cannot; '-->' marks where a frozen thread has stopped. Below the
thread of an asyncio loop that stands are its tasks. When this command ends, however it does, the
process goes on. If some thread does not stop in time, all are shown as they run, and the status is
1: 'freezethreads stuck PID' tells why. It is also what looks at a process that does not answer
within ten seconds (and those of --timeout, once it has been asked to freeze), as when a call of C
keeps its interpreter. With --where anywhere every thread stops, also those that wait for each
other's locks, which needs CPython 3.12. A process that does not serve is not frozen: what py-spy
sees of it is shown, and the status is 1. With --attach, on CPython 3.14 and newer, it is frozen as
well.
"""
EPILOG = """\
examples:
  freezethreads dump 4711
  freezethreads dump 4711 --locals
  freezethreads dump 4711 --where anywhere
  freezethreads dump 4711 --attach
"""
_LEASE = 60.0  # seconds; guards the process against this command's being stopped for long
_EXPIRED = (
    "the lease ran out before all was read; the threads have been running since, so what is shown "
    "may not be consistent"
)


def describe(parser: argparse.ArgumentParser) -> None:
    """Say which arguments there are."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    add_pid(parser)
    add_attach(parser)
    add = parser.add_argument
    add("--locals", action="store_true", help="with the local variables (by py-spy)")
    add(
        "--native",
        action="store_true",
        help="with frames of C (by py-spy, which stops the process for a moment to see them)",
    )
    add("--no-freeze", action="store_true", help="stop nobody, and look while all go on")
    add_timeout(parser, "look all the same if not all stand within S seconds")
    add_where(parser)
    add_freezer(parser)
    add_json(parser)
    add_wide(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show them, and return the status. Raises `WrongUse`."""
    return talk(
        arguments,
        lambda client: _dump(client, arguments),
        unserved=lambda why: _look_from_outside(arguments, why),
    )


def _look_from_outside(arguments: argparse.Namespace, why: str) -> int:
    """A process that does not serve is not frozen, but py-spy sees it as it runs."""
    from freezethreads.cli._pyspy import Spy, Unreadable

    try:
        with Spy(arguments.pid, variables=arguments.locals, native=arguments.native) as spy:
            threads = spy.threads()
    except Unreadable as error:
        raise unread(arguments, why, error) from error
    note = f"{why}. It was not frozen: this is what py-spy sees while it runs."
    if arguments.json:
        print_json({"frozen": False, "note": note, "threads": threads})
        return 1
    lines = [note]
    for thread in shown(threads, arguments):
        doing = "active" if thread["active"] else "idle"
        lines += ["", f"{thread['thread_name'] or '?'} (native {thread['os_thread_id']}): {doing}"]
        for frame in thread["frames"]:
            lines.append(f"    {frame['name']} ({frame['filename']}:{frame['line']})")
            for variable in frame.get("locals") or ():
                lines.append(f"        {variable['name']} = {variable['repr']}")
    say(clean_lines("\n".join(lines)))
    return 1


def _dump(client: Client, arguments: argparse.Namespace) -> int:
    frozen: dict[str, Any] = {}
    if not arguments.no_freeze:
        # Before: who stands for this may be who seems to be able to give a sign.
        before = client.request("stacks", freezer=arguments.freezer)
        frozen = _freeze(client, arguments)
        if "deadlocks" in before:
            frozen["deadlocks"] = before["deadlocks"]
    description, render = _look(client, arguments)
    description.update(frozen)
    if not arguments.no_freeze:
        thawed = client.request("thaw", own=True)["thawed"]  # before anybody reads what is printed
        if description["frozen"] and not thawed:
            description.update(frozen=False, waited=None, problem=_EXPIRED)
    if arguments.json:
        print_json(description)
    else:
        say(render(shown(description, arguments)).rstrip("\n"))
    return 1 if description["problem"] else 0


def _freeze(client: Client, arguments: argparse.Namespace) -> dict[str, Any]:
    """Hold everybody for as long as the connection is there; return how that went."""
    from freezethreads.control import FreezeFailed

    try:
        answer = client.request(
            "freeze",
            freezer=arguments.freezer,
            timeout=arguments.timeout,
            lease=_LEASE,
            reason="dump",
            where=where_of(client, arguments),
        )
    except FreezeFailed as error:
        late = [straggler["ident"] for straggler in error.details.get("stragglers", ())]
        problem = str(error).partition("\n")[0].removesuffix(":") + f"; {next_step(arguments)}"
        return {"waited": arguments.timeout, "late": late, "problem": problem}
    return {"frozen": True, "waited": answer["waited"]}


def _look(
    client: Client, arguments: argparse.Namespace
) -> tuple[dict[str, Any], Callable[[dict[str, Any]], str]]:
    """Return what there is to see, and what makes text of it, which is loaded meanwhile."""
    from freezethreads.cli._pyspy import Spy, Unreadable, join

    with Spy(client.pid, variables=arguments.locals, native=arguments.native) as spy:
        description = client.request("stacks", freezer=arguments.freezer)
        from freezethreads._explain import render
        from freezethreads._report.reports import Description

        try:
            join(description, spy.threads())
            description["note"] = None
        except Unreadable as error:
            description["note"] = f"{error}. The stacks are those that the process reports itself."
    return description, lambda it: render(from_json(Description, it))
