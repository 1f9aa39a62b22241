"""The report from inside: all threads where they stand, written to a file."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

from freezethreads._explain._describe import look
from freezethreads._explain._text import render

if TYPE_CHECKING:
    from freezethreads._freezer import Freezer


def dump(freezer: Freezer, file: IO[str], timeout: float | None) -> None:
    """Write the report when everybody has been let go: who stood may own the file's lock."""
    file.write(render(look(freezer, timeout)) + "\n")
    file.flush()


def dump_to_descriptor(freezer: Freezer, descriptor: int, timeout: float | None) -> None:
    """The same for a signal handler, which may have interrupted its thread in the file's lock."""
    rest = (render(look(freezer, timeout)) + "\n").encode(errors="backslashreplace")
    while rest:
        rest = rest[os.write(descriptor, rest) :]
