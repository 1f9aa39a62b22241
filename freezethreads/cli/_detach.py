"""``freezethreads detach PID``: take away what ``attach`` has brought."""

from __future__ import annotations

import argparse

from freezethreads.cli._remote import add_json, add_pid, attaching, print_json, say

__all__ = ["NAME", "SUMMARY", "describe", "run"]

NAME = "detach"
SUMMARY = "take away what attach has brought into a process"

DESCRIPTION = """\
Thaws what was frozen from outside, has the process serve no more, and takes away every thread,
socket, file and module that `freezethreads attach` has brought. It returns when that is done, and
the process goes on as it was before.
"""
EPILOG = """\
examples:
  freezethreads detach 4711
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Say which arguments there are."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    add_pid(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Detach, and say so. Raises `WrongUse`."""

    def act() -> int:
        from freezethreads._attach.outside import detach

        detach(arguments.pid)
        if arguments.json:
            print_json({"detached": arguments.pid})
        else:
            say(f"process {arguments.pid} is as it was")
        return 0

    return attaching(arguments, act)
