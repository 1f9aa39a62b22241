"""``freezethreads threads PID``: what each thread of a process does."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from freezethreads._ground.jsonable import from_json
from freezethreads._ground.text import clean, clean_lines
from freezethreads.cli._parser import WrongUse
from freezethreads.cli._remote import (
    add_attach,
    add_freezer,
    add_json,
    add_pid,
    in_words,
    print_json,
    say,
    talk,
)
from freezethreads.cli._table import room, table_of
from freezethreads.cli._wide import add_wide, shown

if TYPE_CHECKING:
    from freezethreads.control import Client

__all__ = ["NAME", "SUMMARY", "describe", "run", "threads_table"]

NAME = "threads"
SUMMARY = "show what each thread of a process does"

DESCRIPTION = """\
One line a thread: its name, its state, the site where it stopped or else the line of the program
at which it was just met, its group, the seconds that it has been at its site, and the todos that it
has still to make. Those come last that are not registered, and that no freeze at safepoints stops.
A thread is running unless it stands, or is blocked in a wait or region that this library knows:
under `run --unpatched` it knows no waits, and the line tells more. A site that is `call` is a call
of C, and one that is `anywhere` is between two bytecodes. Below are the threads that an
exception has ended. With --watch the
table stays and is kept up to date, and a key freezes (f), thaws (t), or quits (q), which thaws what
was frozen by key.
"""
EPILOG = """\
examples:
  freezethreads threads 4711
  freezethreads threads 4711 --watch
"""
_HEADER = ("NAME", "STATE", "SITE", "GROUP", "SECONDS", "TODOS")
_DISPENSABLE = ("TODOS", "GROUP", "SECONDS")


def describe(parser: argparse.ArgumentParser) -> None:
    """Say which arguments there are."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    add_pid(parser)
    add_attach(parser)
    add_freezer(parser)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--watch", action="store_true", help="keep the table up to date")
    add_json(either)
    add_wide(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the table, and return the status. Raises `WrongUse`."""
    if arguments.watch:
        return _watch(arguments)

    def show(client: Client) -> int:
        from freezethreads._report.reports import EndedReport

        answer = client.request("threads", freezer=arguments.freezer)
        if arguments.json:
            print_json(answer)
        else:
            say(f"process {client.pid}: {clean_lines(in_words(answer['freezer']))}")
            say(threads_table(answer, arguments))
            for one in shown(answer.get("ended") or [], arguments):
                say(clean(str(from_json(EndedReport, one))))
        return 0

    return talk(arguments, show)


def threads_table(answer: dict[str, Any], arguments: argparse.Namespace) -> str:
    """A header, and a line for each thread: first for those that are registered."""
    rows = [_row_of(thread) for thread in shown(answer["threads"], arguments)]
    rows += [_row_of_unregistered(one) for one in shown(answer["unregistered"], arguments)]
    return table_of(_HEADER, rows, room(arguments.wide), _DISPENSABLE)


def _row_of(thread: dict[str, Any]) -> tuple[object, ...]:
    who = thread["name"], thread["state"], _where(thread), thread["group"]
    return (*who, thread["seconds"], thread["todo_pending"])


def _row_of_unregistered(thread: dict[str, Any]) -> tuple[object, ...]:
    stands = ", frozen" if thread.get("state") == "frozen" else ""
    return (thread["name"], f"unregistered{stands}", _where(thread), "", None, None)


def _where(thread: dict[str, Any]) -> str:
    """Where a thread stopped, or else the line at which it was met, or ""."""
    site, line = thread.get("site"), thread.get("line")
    if site is None:
        return "" if line is None else f"at {line['filename']}:{line['lineno']}"
    label = f"{site['label']!r} " if site["label"] is not None else ""
    return f"{site['kind']} {label}at {site['filename']}:{site['lineno']}"


def _watch(arguments: argparse.Namespace) -> int:
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        raise WrongUse("--watch needs a terminal")
    try:
        import rich.live  # noqa: F401 - before anything is asked of the process
    except ModuleNotFoundError:
        raise WrongUse("--watch needs rich: pip install rich") from None
    from freezethreads.cli._watch import Watch

    return talk(arguments, lambda client: Watch(client, arguments).run())
