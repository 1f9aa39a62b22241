"""``freezethreads thaw PID`` lets go what was frozen from outside."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from freezethreads._ground.text import clean_lines
from freezethreads.cli._remote import add_json, add_pid, in_words, print_json, say, talk

if TYPE_CHECKING:
    from freezethreads.control import Client

__all__ = ["NAME", "SUMMARY", "describe", "run", "thaw_in_words"]

NAME = "thaw"
SUMMARY = "let the threads of a process go on"


def describe(parser: argparse.ArgumentParser) -> None:
    """Say which arguments there are."""
    parser.description = (
        "Ends every freeze that was made by 'freezethreads freeze PID'. What the program itself "
        "has frozen stays so. So does what is frozen by a command that is still running, such as "
        "'freeze --wait': then the status is 1."
    )
    parser.epilog = "example: freezethreads thaw 4711"
    add_pid(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Thaw, and return the status. Raises `WrongUse`."""

    def thaw(client: Client) -> int:
        answer = client.request("thaw")
        status = 1 if answer.get("held_by") else 0
        if arguments.json:
            print_json(answer)
            return status
        say(f"process {client.pid}: {thaw_in_words(answer)}")
        for freezer in answer["freezers"]:
            if freezer["freezes"]:
                say(clean_lines(f"{freezer['name']}: {in_words(freezer)}"))
        return status

    return talk(arguments, thaw)


def thaw_in_words(answer: dict[str, Any]) -> str:
    """What a thaw has done, and who keeps threads frozen all the same."""
    holders = answer.get("held_by") or []
    if not holders:
        return "thawed" if answer["thawed"] else "nothing was frozen from outside"
    who = " and ".join(f"process {pid}" if pid else "another process" for pid in holders)
    done = "thawed, but not all" if answer["thawed"] else "not thawed"
    hold, end = ("holds", "that ends") if len(holders) == 1 else ("hold", "those end")
    return f"{done}: {who} {hold} it, as `freezethreads freeze --wait` does, until {end}"
