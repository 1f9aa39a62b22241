"""``--atomic`` and ``--freezable``: what code is declared to be from outside, by its name."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from freezethreads._ground.arguments import check_kind
from freezethreads._ground.names import split_mark
from freezethreads.cli._parser import WrongUse

__all__ = ["add_marks", "check_marks"]


def add_marks(parser: argparse.ArgumentParser, needs: str = "") -> None:
    """Which code is atomic, and which freezable."""
    parser.add_argument(
        "--atomic",
        action="append",
        default=[],
        metavar="NAME[=KIND]",
        help="stop nobody in that code, nor in what it calls: a module, or module:Class.method; "
        f"with =KIND by the freezes with --settled KIND alone; may be repeated{needs}",
    )
    parser.add_argument(
        "--freezable",
        action="append",
        default=[],
        metavar="NAME",
        help=f"make the entry and the loops of that code safepoints; may be repeated{needs}",
    )


def check_marks(arguments: argparse.Namespace, check: Callable[[str], object]) -> None:
    """Refuse a kind that is no dotted name, and a name at which `check` raises a ValueError. Raises
    `WrongUse`."""
    for mark in arguments.atomic:
        name, kind = split_mark(mark)
        try:
            check(name)
            if kind is not None:
                check_kind(kind)
        except ValueError as error:
            raise WrongUse(f"--atomic {mark}: {error}") from error
    for name in arguments.freezable:
        try:
            check(name)
        except ValueError as error:
            raise WrongUse(f"--freezable {name}: {error}") from error
