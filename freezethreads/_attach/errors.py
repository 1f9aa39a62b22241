"""Why a process was not attached to. Each leaves it unharmed."""

from __future__ import annotations

__all__ = ["AttachError", "ServesAlready", "Unreached"]


class AttachError(Exception):
    """A process cannot be attached to, or is not attached. The message says what to do."""


class ServesAlready(AttachError):
    """There is nothing to attach to: whoever wants something of the process can ask it."""


class Unreached(AttachError):
    """None of its threads has run Python in time, so nothing could be begun in it.

    ``threads`` tells what the system knows of each: a name, and what it waits in.
    """

    def __init__(self, message: str, threads: tuple[tuple[int, str, str], ...]) -> None:
        super().__init__(message, threads)
        self.threads = threads

    def __str__(self) -> str:
        return str(self.args[0])
