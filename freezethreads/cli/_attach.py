"""``freezethreads attach PID``: have a process serve that nobody prepared."""

from __future__ import annotations

import argparse

from freezethreads._attach import TIMEOUT
from freezethreads._ground.names import check_name, split_mark
from freezethreads._ground.text import clean
from freezethreads.cli._marks import add_marks, check_marks
from freezethreads.cli._remote import (
    add_json,
    add_pid,
    add_timeout,
    attaching,
    print_json,
    say,
)

__all__ = ["NAME", "SUMMARY", "describe", "run"]

NAME = "attach"
SUMMARY = "have a running process serve that nobody prepared"

DESCRIPTION = """\
Brings this library into a running process, and has it serve: from then on all commands work on it,
until `freezethreads detach PID`. A freeze stops every thread of it between two bytecodes, wherever
that is, unless --where says otherwise. The process needs CPython 3.14 or newer, and the right to
trace it: its own user where the system allows that, or root. It need not have this library. Nothing
of it is replaced. It stands still for some milliseconds, and goes on. If all its threads are in
calls of C, nothing can be begun in it before one comes back: then the status is 1, and what each
waits in is shown, and what would help.
"""
EPILOG = """\
examples:
  freezethreads attach 4711
  freezethreads attach 4711 --atomic shop.ledger:Book.move
  freezethreads attach 4711 && freezethreads stuck 4711; freezethreads detach 4711
  freezethreads stuck 4711 --attach
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Say which arguments there are."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    add_pid(parser)
    add_marks(parser)
    add_timeout(parser, "give up if no thread of it runs Python within S seconds", TIMEOUT)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Attach, and say how it went. Raises `WrongUse`."""
    check_marks(arguments, check_name)

    def act() -> int:
        from freezethreads._attach.outside import attach

        attached = attach(
            arguments.pid,
            atomic=[split_mark(mark) for mark in arguments.atomic],
            freezable=arguments.freezable,
            timeout=arguments.timeout,
        )
        if arguments.json:
            print_json({"attached": vars(attached)})
            return 0
        where = "at safepoints" if attached.where == "safepoint" else clean(attached.where)
        say(
            f"process {attached.pid} (Python {clean(attached.python)}) serves: a freeze stops its "
            f"{attached.threads} thread{'' if attached.threads == 1 else 's'} {where}, unless "
            f"--where says otherwise\n`freezethreads detach {attached.pid}` ends that"
        )
        return 0

    return attaching(arguments, act)
