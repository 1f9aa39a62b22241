"""How much a command shows: as much as is easily read, or all of it with ``--wide``."""

from __future__ import annotations

import argparse
from typing import Any

from freezethreads._ground.files import short_path, short_paths

__all__ = ["add_wide", "shown"]

_SENTENCES = {"acquired", "advice", "problem", "what", "why"}
"""What may name files in what a process answers, beside each `filename`."""


def add_wide(parser: argparse._ActionsContainer) -> None:
    """For people who want to see everything."""
    help = "print whole paths, and whole cells whatever the width of the terminal"
    parser.add_argument("--wide", action="store_true", help=help)


def shown(answer: Any, arguments: argparse.Namespace) -> Any:
    """What a process answers, with short paths in it unless `arguments` ask for whole ones."""
    return answer if arguments.wide else _short(answer)


def _short(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _short(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [_short(one) for one in value]
    if isinstance(value, str) and key == "filename":
        return short_path(value)
    return short_paths(value) if isinstance(value, str) and key in _SENTENCES else value
