"""``freezethreads ps``: which processes can be looked at and frozen."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
from pathlib import Path
from typing import Any

from freezethreads._ground.files import short_path
from freezethreads.cli._remote import add_json, print_json, say, where_in_words
from freezethreads.cli._table import room, table_of
from freezethreads.cli._wide import add_wide

__all__ = ["NAME", "SUMMARY", "describe", "run"]

NAME = "ps"
SUMMARY = "list the processes that can be frozen from outside"

_PATIENCE = 2.0  # seconds for each process


def describe(parser: argparse.ArgumentParser) -> None:
    """Say which arguments there are."""
    parser.description = (
        "The processes of this user that serve: those in which somebody has called serve(), or "
        "that were started by 'FREEZETHREADS_CONTROL=1 freezethreads run ...' or are attached to. "
        "Each with the number of its registered threads, and of the others."
    )
    parser.epilog = "example: freezethreads ps --json"
    add_json(parser)
    add_wide(parser)


def run(arguments: argparse.Namespace) -> int:
    """List them, and return the status."""
    from freezethreads.control import find_processes

    try:
        found = [one for one in map(_ask, find_processes()) if one is not None]
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    if arguments.json:
        print_json({"processes": found})
    elif found:
        rows = [_row(one, arguments.wide) for one in found]
        width = room(arguments.wide)
        say(table_of(("PID", "REGISTERED", "OTHERS", "STATE", "COMMAND"), rows, width))
        for silent in (one for one in found if "why" in one):
            say(silent["why"])
    else:
        say("no process of this user serves")
    return 0


def _ask(pid: int) -> dict[str, Any] | None:
    """What a process says of itself; None if it is gone, or its socket is what another left."""
    from freezethreads.control import ControlError, NoAnswer, RequestRefused, connect

    try:
        with connect(pid, patience=_PATIENCE) as client:
            return client.hello
    except (NoAnswer, RequestRefused) as error:
        return {
            "pid": pid,
            "state": "no answer",
            "threads": None,
            "command": _command_of(pid),
            "why": str(error),
        }
    except ControlError:
        return None


def _command_of(pid: int) -> list[str]:
    """How a process was started that does not say so itself, if the system tells."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it is gone, or this is no Linux
        return []
    return os.fsdecode(line).rstrip("\0").split("\0")


def _row(process: dict[str, Any], wide: bool) -> tuple[object, ...]:
    command = process["command"]
    if not wide:
        command = [os.path.basename(word) for word in command[:1]] + [*map(short_path, command[1:])]
    freezes = [freeze for one in process.get("freezers", ()) for freeze in one["freezes"]]
    where = "".join(sorted({where_in_words(freeze) for freeze in freezes}))
    state = process["state"] + where
    counts = process["threads"], process.get("others")
    return process["pid"], *counts, state, shlex.join(command) or None
