"""``freezethreads sites PID``: in which places a process can be frozen, as far as is known."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from freezethreads.cli._remote import add_freezer, add_json, add_pid, print_json, say, talk
from freezethreads.cli._table import room, table_of
from freezethreads.cli._wide import add_wide, shown

if TYPE_CHECKING:
    from freezethreads.control import Client

__all__ = ["NAME", "SUMMARY", "describe", "run"]

NAME = "sites"
SUMMARY = "list every place that has led to the refrigerator"

_HEADER = ("HITS", "KIND", "LABEL", "WHERE", "FUNCTION")


def describe(parser: argparse.ArgumentParser) -> None:
    """Say which arguments there are."""
    parser.description = (
        "The audit: every safepoint, blocking region and freezable wait where a thread was stopped "
        "so far, with its label, file and line, and how often; the busiest first. Who reads it "
        "knows in which states this program has been frozen."
    )
    parser.epilog = "example: freezethreads sites 4711"
    add_pid(parser)
    add_freezer(parser)
    add_json(parser)
    add_wide(parser)


def run(arguments: argparse.Namespace) -> int:
    """List them, and return the status. Raises `WrongUse`."""

    def show(client: Client) -> int:
        answer = client.request("sites", freezer=arguments.freezer)
        rows = [_row_of(site) for site in shown(answer["sites"], arguments)]
        width = room(arguments.wide)
        if arguments.json:
            print_json(answer)
        elif rows:
            say(table_of(_HEADER, rows, width, ("FUNCTION",)))
        else:
            say(f"process {client.pid}: nobody was stopped yet")
        return 0

    return talk(arguments, show)


def _row_of(site: dict[str, Any]) -> tuple[object, ...]:
    where = f"{site['filename']}:{site['lineno']}"
    return site["hits"], site["kind"], site["label"] or "", where, site["function"]
