"""What the verbs share: one-line errors, and numbers that are checked."""

from __future__ import annotations

import argparse
import math
from typing import Any, NoReturn

__all__ = ["Parser", "WrongUse", "count", "seconds"]


class WrongUse(Exception):
    """The command cannot mean this. The message says what to do; nothing was touched."""


class _Formatter(argparse.HelpFormatter):
    """Fills sentences to the width of the terminal, and leaves examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("examples:") else super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line, and ends with status 2."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, formatter_class=_Formatter)

    def error(self, message: str) -> NoReturn:
        """End the process, as the standard parser does, but without the usage."""
        if message.endswith("required: PID"):
            attaches = self.prog.endswith(" attach")
            serving = "`freezethreads ps` lists those that serve"
            message += "; `ps` lists the processes" if attaches else f"; {serving}"
        self.exit(2, f"{self.prog}: {message} (try --help)\n")


def count(text: str) -> int:
    """Return `text` as a whole number of 1 or more, for `type=`."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of 1 or more, not {text!r}")
    return number


def seconds(text: str) -> float:
    """Return `text` as a duration longer than 0, for `type=`."""
    try:
        duration = float(text)
    except ValueError:
        duration = 0.0
    if not 0.0 < duration < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, not {text!r}")
    return duration
