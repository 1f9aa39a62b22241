"""``freezethreads thaw PID`` lets go what was frozen from outside."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from freezethreads._ground.text import clean_lines
from freezethreads.cli._remote import add_json, add_pid, in_words, print_json, say, talk

if TYPE_CHECKING:
    from freezethreads.control import Client

__all__ = ["NAME", "SUMMARY", "describe", "run"]

NAME = "thaw"
SUMMARY = "let the threads of a process go on"


def describe(parser: argparse.ArgumentParser) -> None:
    """Say which arguments there are."""
    parser.description = (
        "Ends every freeze that was made by 'freezethreads freeze PID'. What the program itself "
        "has frozen stays so, and so does what is frozen by a command that is still running."
    )
    parser.epilog = "example: freezethreads thaw 4711"
    add_pid(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Thaw, and return the status. Raises `WrongUse`."""

    def thaw(client: Client) -> int:
        answer = client.request("thaw")
        if arguments.json:
            print_json(answer)
            return 0
        done = "thawed" if answer["thawed"] else "nothing was frozen from outside"
        say(f"process {client.pid}: {done}")
        for freezer in answer["freezers"]:
            if freezer["freezes"]:
                say(clean_lines(f"{freezer['name']}: {in_words(freezer)}"))
        return 0

    return talk(arguments, thaw)
