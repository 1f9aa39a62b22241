"""The report from inside: all threads where they stand, written to a file."""

from __future__ import annotations

import codecs
import os
import sys
from typing import IO, TYPE_CHECKING

from freezethreads._explain._describe import look
from freezethreads._explain._text import render
from freezethreads._ground.deadline import check_seconds
from freezethreads._ground.errors import FreezeError
from freezethreads._ground.text import write

if TYPE_CHECKING:
    from freezethreads._freezer import Freezer


def dump(freezer: Freezer, file: IO[str] | None, timeout: float | None) -> None:
    """Write the report when everybody has been let go: who stood may own the file's lock.

    Raises TypeError or ValueError for a wrong argument, before anything is touched.
    """
    check_seconds("timeout", timeout)
    file = check_file(file)
    write(render(look(freezer, timeout)) + "\n", file)
    file.flush()


def dump_to_descriptor(
    freezer: Freezer, descriptor: int, encoding: str, timeout: float | None
) -> None:
    """The same for a signal handler, which may have interrupted its thread in the file's lock."""
    rest = (render(look(freezer, timeout)) + "\n").encode(encoding, "backslashreplace")
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def encoding_of(file: IO[str]) -> str:
    """How a file encodes what is written to it; UTF-8 if that is unknown."""
    try:
        return codecs.lookup(getattr(file, "encoding", None) or "utf-8").name
    except (LookupError, TypeError):
        return "utf-8"


def check_file(file: IO[str] | None) -> IO[str]:
    """Where a report goes; None: to `sys.stderr`. Raises `FreezeError` if there is none.

    Raises TypeError if it is no file.
    """
    if file is not None:
        if not hasattr(file, "write"):
            raise TypeError(f"file must be a text file, or None for sys.stderr, not {file!r}")
        return file
    if sys.stderr is None:
        raise FreezeError("there is no sys.stderr: say which file the report goes to")
    return sys.stderr
