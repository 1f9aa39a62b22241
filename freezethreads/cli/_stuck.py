"""``freezethreads stuck PID``: who does not stop, and why."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from freezethreads.cli._parser import seconds
from freezethreads.cli._remote import add_freezer, add_json, add_pid, print_json, say, talk
from freezethreads.cli._table import clean

if TYPE_CHECKING:
    from freezethreads.control import Client

__all__ = ["NAME", "SUMMARY", "describe", "run"]

NAME = "stuck"
SUMMARY = "explain which threads of a process do not stop, and why"

DESCRIPTION = """\
Freezes a process with a deadline, lets it go on, and explains who has not stopped: a thread that
computes without a safepoint, is in a call of C or in a wait that is in no blocking region, waits
for a lock that a frozen thread owns, is inside no_freeze() or a todo. Each with the line where a
safepoint or a blocking region would help. The status is 0 if all stop, and 1 if one does not.
"""
EPILOG = """\
examples:
  freezethreads stuck 4711
  freezethreads stuck 4711 --timeout 20 --json
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Say which arguments there are."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_pid(parser)
    parser.add_argument(
        "--timeout",
        type=seconds,
        metavar="S",
        default=5.0,
        help="who has not stopped within S seconds is explained (default: 5)",
    )
    add_freezer(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Explain, and return the status. Raises `WrongUse`."""

    def explain(client: Client) -> int:
        diagnosis = client.request("stuck", freezer=arguments.freezer, timeout=arguments.timeout)
        if arguments.json:
            print_json(diagnosis)
        else:
            from freezethreads._explain import render_diagnosis

            say("\n".join(map(clean, render_diagnosis(diagnosis).rstrip("\n").split("\n"))))
        return 0 if diagnosis["healthy"] else 1

    return talk(arguments, explain)
