"""The report from inside: all threads where they stand, written to a file."""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING

from freezethreads._deadline import check_seconds
from freezethreads._errors import FreezeError
from freezethreads._explain._describe import look
from freezethreads._explain._text import render

if TYPE_CHECKING:
    from freezethreads._freezer import Freezer


def dump(freezer: Freezer, file: IO[str] | None, timeout: float | None) -> None:
    """Write the report when everybody has been let go: who stood may own the file's lock.

    Raises TypeError or ValueError for a wrong `timeout`, before anything is touched.
    """
    check_seconds("timeout", timeout)
    file = check_file(file)
    file.write(render(look(freezer, timeout)) + "\n")
    file.flush()


def dump_to_descriptor(freezer: Freezer, descriptor: int, timeout: float | None) -> None:
    """The same for a signal handler, which may have interrupted its thread in the file's lock."""
    rest = (render(look(freezer, timeout)) + "\n").encode(errors="backslashreplace")
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def check_file(file: IO[str] | None) -> IO[str]:
    """Where a report goes; None: to `sys.stderr`. Raises `FreezeError` if there is none."""
    if file is not None:
        return file
    if sys.stderr is None:
        raise FreezeError("there is no sys.stderr: say which file the report goes to")
    return sys.stderr
