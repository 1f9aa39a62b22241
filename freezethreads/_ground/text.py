"""Text that does no more than stand there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import IO, Final

HELPS: Final = "What would help:"
MOST_HELPS: Final = 3  # sentences of advice: what helps one thread of a pool helps all of it


def helped(message: str, helps: Iterable[str]) -> str:
    """A message, and what would help, each in a line of its own."""
    return "\n  ".join([f"{message}\n{HELPS}", *helps])


def clean(text: str) -> str:
    """Take out what would move the cursor, or worse, or end the line: names come from anywhere."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def clean_lines(text: str) -> str:
    """`clean`, line by line."""
    return "\n".join(map(clean, text.split("\n")))


def tell_stderr(text: str) -> None:
    """Write these lines straight to the descriptor: a frozen thread may own the lock of
    `sys.stderr`, or that of a log."""
    try:
        os.write(2, f"{text}\n".encode(errors="backslashreplace"))
    except OSError:
        pass  # closed, or its reader is gone: there is nobody to be told


def encodable(text: str, stream: object) -> str:
    """Escape what a stream cannot encode. One that does not say how it does gets `text` itself."""
    encoding = getattr(stream, "encoding", None)
    try:
        return text.encode(encoding, "backslashreplace").decode(encoding) if encoding else text
    except (LookupError, TypeError):
        return text  # there is no such encoding


def write(text: str, file: IO[str]) -> None:
    """Write `text` to a file, which escapes what it cannot encode, whether it says so or not."""
    try:
        file.write(encodable(text, file))
    except UnicodeEncodeError:
        file.write(text.encode("ascii", "backslashreplace").decode("ascii"))
